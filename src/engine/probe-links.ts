// SPDX-License-Identifier: GPL-2.0-only
// Probes of network namespaces and links by rtnetlink(7). As those of probe-host.ts, they leave nothing behind; none changes a link.

import { errnoName } from "../kernel/abi/errno.ts";
import { O_CLOEXEC, O_RDONLY } from "../kernel/abi/fcntl.ts";
import { FSOPEN_CLOEXEC } from "../kernel/abi/mount.ts";
import { NETLINK_ROUTE, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, Nlattr } from "../kernel/abi/netlink.ts";
import {
	IFLA_NEW_IFINDEX,
	Ifinfomsg,
	NETNSA_FD,
	NETNSA_NSID,
	RTM_GETNSID,
	RTM_NEWNSID,
	RTM_SETLINK,
} from "../kernel/abi/rtnetlink.ts";
import { AF_NETLINK, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_RAW } from "../kernel/abi/socket.ts";
import { viewOf } from "../kernel/abi/struct.ts";
import * as nr from "../kernel/abi/syscalls.x86_64.ts";
import {
	Attributes,
	encodeMessage,
	fixedPart,
	type NetlinkMessage,
	netlinkParseError,
	parseMessages,
} from "../kernel/netlink/message.ts";
import { closeFd, openAt, scopedFd, toCString } from "../sys/file.ts";
import { mustSyscall, syscall } from "../sys/host.ts";
import type { Probe } from "./probe-host.ts";

/** Attributes begin behind struct rtgenmsg, one byte, which is padded. */
const RTGENMSG_SIZE = 4;
const ANSWER_LIMIT = 8192;

function numberAttribute(type: number, value: number): Uint8Array {
	const bytes = new Uint8Array(Nlattr.size + 4);
	const view = viewOf(bytes);
	Nlattr.write(view, 0, { nla_len: bytes.length, nla_type: type });
	view.setInt32(Nlattr.size, value, true);
	return bytes;
}

/** Asks once. The kernel answers before the call that asks has returned. @throws KernelError, CriuError NETLINK_PARSE */
function ask(type: number, payload: readonly Uint8Array[]): NetlinkMessage {
	using socket = scopedFd(mustSyscall("of routes", nr.SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	const request = encodeMessage(type, NLM_F_REQUEST | NLM_F_ACK, 1, new Uint8Array(Buffer.concat(payload)));
	mustSyscall("about links", nr.SYS_sendto, socket.fd, request, request.length, 0, 0, 0);
	const answer = new Uint8Array(ANSWER_LIMIT);
	const length = mustSyscall("about links", nr.SYS_recvfrom, socket.fd, answer, answer.length, MSG_DONTWAIT, 0, 0);
	const [message] = parseMessages(answer.subarray(0, length));
	if (message === undefined) throw netlinkParseError("nothing in it");
	return message;
}

/** The number of the error that a message tells; 0 for none. */
function errnoOf({ type, payload }: NetlinkMessage): number {
	return type === NLMSG_ERROR ? -fixedPart(payload, 4).getInt32(0, true) : 0;
}

/** Asks for the id of our own network namespace: there may be none, which is an answer as well. Since Linux 4.0, with links' ids. */
export const probeNsid: Probe = () => {
	using ns = scopedFd(openAt("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
	const answer = ask(RTM_GETNSID, [new Uint8Array(RTGENMSG_SIZE), numberAttribute(NETNSA_FD, ns.fd)]);
	const errno = errnoOf(answer);
	if (errno !== 0) return `the kernel doesn't tell ids of network namespaces (${errnoName(errno)})`;
	const isTold =
		answer.type === RTM_NEWNSID && new Attributes(answer.payload, RTGENMSG_SIZE).u32(NETNSA_NSID) !== undefined;
	return isTold ? undefined : "the kernel's answer has no id of a network namespace";
};

/** An index that can't be, for a link that isn't there: a kernel that knows the attribute looks at that first. Since Linux 5.13. */
export const probeNewIfindex: Probe = () => {
	const link = Ifinfomsg.encode({ ifi_index: 0x7fff_ffff });
	const errno = errnoOf(ask(RTM_SETLINK, [link, numberAttribute(IFLA_NEW_IFINDEX, 0)]));
	if (["ERANGE", "EINVAL"].includes(errnoName(errno))) return undefined;
	return `a link that moves to another network namespace can't be given an index (${errnoName(errno)})`;
};

/** Whether the file system is there: all kernels that have fsopen(2) show the pipe in their mounts' options. */
export const probeAutofs: Probe = () => {
	const fd = syscall(nr.SYS_fsopen, toCString("autofs"), FSOPEN_CLOEXEC);
	if (fd < 0) return `the kernel has no autofs file system (${errnoName(-fd)})`;
	closeFd(fd);
	return undefined;
};
