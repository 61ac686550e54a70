// SPDX-License-Identifier: GPL-2.0-only
// Netlink sockets: port, groups, whom they're connected to. What waits in them is a talk with the kernel that can't be held
// again. Images: files.img (netlink_sk_entry). Source: netlink(7), sock_diag(7).

import type { OpRef, Program } from "../../agent/program.ts";
import { type CriuError, PassingError } from "../../errors.ts";
import { fd_types, type file_entry, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { netlink_sk_entrySchema } from "../../images/gen/socket_pb.ts";
import { create, hasField } from "../../images/index.ts";
import * as nl from "../../kernel/abi/netlink.ts";
import { NDIAG_FLAG_CB_RUNNING } from "../../kernel/abi/sock-diag.ts";
import { AF_NETLINK, SOCK_DGRAM, SOCK_RAW, SOL_NETLINK } from "../../kernel/abi/socket.ts";
import { SYS_bind, SYS_connect, SYS_setsockopt, SYS_socket } from "../../kernel/abi/syscalls.x86_64.ts";
import type { NetlinkDiag } from "../../kernel/netlink/netlink-diag.ts";
import { findProcFile, PROC_ROOT } from "../../kernel/procfs/reader.ts";
import { checkFlags, imageFlags, planFlags, planSignals, refuseFd } from "../file/anon-inode.ts";
import { checkInner, corruptImage } from "../file/image-checks.ts";
import type { DumpContext, FdFacts, FileKind, FilePlan } from "../kind.ts";
import { COMMON_EXTRAS, type ExtraOption } from "./extra-options.ts";
import { readQueues } from "./inet-facts.ts";
import { checkSkOpts, dumpSkOpts, findSkOptsBlockers, planReuse, planSkFilter, planSkOpts } from "./sk-opts.ts";
import { findSocketFacts, hasFamily } from "./socket-facts.ts";
import { netlinkSockets, netNamespaceId } from "./socket-tables.ts";

const CONNECTED = 1;
const GROUPS_PER_WORD = 32;
/** Generic netlink gives groups as many numbers as it needs. */
const MAX_GROUP_WORDS = 64;

const SWITCHES = [
	["NETLINK_PKTINFO", nl.NETLINK_PKTINFO],
	["NETLINK_BROADCAST_ERROR", nl.NETLINK_BROADCAST_ERROR],
	["NETLINK_NO_ENOBUFS", nl.NETLINK_NO_ENOBUFS],
	["NETLINK_LISTEN_ALL_NSID", nl.NETLINK_LISTEN_ALL_NSID],
	["NETLINK_CAP_ACK", nl.NETLINK_CAP_ACK],
	["NETLINK_EXT_ACK", nl.NETLINK_EXT_ACK],
	["NETLINK_GET_STRICT_CHK", nl.NETLINK_GET_STRICT_CHK],
] as const;
const EXTRAS: readonly ExtraOption[] = [
	...COMMON_EXTRAS,
	...SWITCHES.map(([label, name]) => ({ level: SOL_NETLINK, name, label, initial: 0 })),
];

/** Only sockets with a port are in the kernel's table. */
function findDiag(file: FdFacts, context: DumpContext): NetlinkDiag | undefined {
	return netlinkSockets(context).get(Number(file.stat.ino & 0xffffffffn));
}

/** Ports to which the packet filter sends packets: second column. */
function readFilterPorts(table: string): number[] {
	const bytes = findProcFile(`${PROC_ROOT}/net/netfilter/${table}`);
	if (bytes === undefined) return [];
	const lines = new TextDecoder("latin1").decode(bytes).split("\n");
	return lines.map((line) => Number(line.trim().split(/\s+/)[1] ?? "0"));
}

function findNetlinkBlockers(file: FdFacts, context: DumpContext): CriuError[] {
	const found = findSkOptsBlockers(file);
	const facts = findSocketFacts(file);
	const diag = findDiag(file, context);
	const dumping = diag !== undefined && (diag.flags & NDIAG_FLAG_CB_RUNNING) !== 0;
	if (dumping || readQueues(file.ownFd).received > 0)
		found.push(
			new PassingError(
				"NETLINK_QUEUE",
				`pid ${file.task.pid}: fd ${file.fd} is a netlink socket with messages that nobody has read yet`,
				{ remedy: "try again, or let the program read them first" },
			),
		);
	if (facts?.protocol === nl.NETLINK_NETFILTER && diag !== undefined) {
		const ports = context.once("netfilter-ports", () => [
			...readFilterPorts("nfnetlink_queue"),
			...readFilterPorts("nfnetlink_log"),
		]);
		if (ports.includes(diag.portid))
			found.push(
				refuseFd(file, "gets packets from the packet filter (nfqueue, nflog)", "let the program stop that first"),
			);
	}
	return found;
}

function trimGroups(groups: readonly number[]): number[] {
	const trimmed = [...groups];
	while (trimmed.at(-1) === 0) trimmed.pop();
	return trimmed;
}

function dumpNetlink(file: FdFacts, id: number, context: DumpContext): file_entry {
	const facts = findSocketFacts(file);
	const diag = findDiag(file, context);
	const nlsk = create(netlink_sk_entrySchema, {
		id,
		ino: Number(file.stat.ino & 0xffffffffn),
		protocol: facts?.protocol ?? 0,
		state: diag?.state ?? 0,
		flags: imageFlags(file),
		portid: diag?.portid ?? 0,
		groups: trimGroups(diag?.groups ?? []),
		dstPortid: diag?.dstPortid ?? 0,
		dstGroup: diag?.dstGroup ?? 0,
		fown: file.fown,
		opts: dumpSkOpts(file, true, EXTRAS),
	});
	if (diag !== undefined) nlsk.nsId = netNamespaceId(context);
	if (facts?.type === SOCK_DGRAM) nlsk.type = SOCK_DGRAM;
	return create(file_entrySchema, { type: fd_types.NETLINKSK, id, nlsk });
}

function address(port: number, groups: number): Uint8Array {
	return nl.SockaddrNl.encode({ nl_family: AF_NETLINK, nl_pid: port, nl_groups: groups });
}

/** Groups beyond the first word have no place in an address. */
function planGroups(program: Program, fd: OpRef, groups: readonly number[]): void {
	for (const [i, word] of groups.entries())
		for (let bit = 0; i > 0 && bit < GROUPS_PER_WORD; bit++) {
			if (((word >>> bit) & 1) === 0) continue;
			const group = i * GROUPS_PER_WORD + bit + 1;
			program.syscall(
				`join netlink group ${group}`,
				SYS_setsockopt,
				[fd, SOL_NETLINK, nl.NETLINK_ADD_MEMBERSHIP, new Uint8Array(Uint32Array.of(group).buffer), 4],
				{ remedies: { EINVAL: "load the kernel module whose messages the program listens to" } },
			);
		}
}

function planNetlink(file: file_entry, { program }: FilePlan): OpRef {
	const entry = checkInner(file.id, "netlink socket", file.nlsk);
	const { id, protocol, portid, groups, state, dstPortid, dstGroup } = entry;
	const bad = (what: string) => corruptImage("files.img", `${what} of netlink socket ${id}`);
	if (protocol >= nl.MAX_LINKS) throw bad("the protocol");
	if (groups.length > MAX_GROUP_WORDS) throw bad("the groups");
	if (dstGroup > GROUPS_PER_WORD) throw bad("the group that is the other end");
	const type = hasField(entry, "type") ? entry.type : SOCK_RAW;
	if (type !== SOCK_RAW && type !== SOCK_DGRAM) throw bad("the type");
	checkFlags(id, entry.flags);
	const opts = checkSkOpts(id, entry.opts);
	const fd = program.syscall(`make netlink socket ${id}`, SYS_socket, [AF_NETLINK, type, protocol], {
		remedies: { EPROTONOSUPPORT: "load the kernel module that this netlink family belongs to" },
	});
	planSkOpts(program, fd, id, opts, EXTRAS);
	planReuse(program, fd, opts);
	planSkFilter(program, fd, opts);
	if (portid !== 0) {
		const own = address(portid, groups[0] ?? 0);
		const any = address(0, groups[0] ?? 0);
		program.syscall(`bind a netlink socket to port ${portid}`, SYS_bind, [fd, own, own.length], {
			check: { okOr: "EADDRINUSE" },
		});
		// A bound socket answers EINVAL. Another one has the port: the kernel chooses a new one.
		program.syscall("or to any port", SYS_bind, [fd, any, any.length], { check: { okOr: "EINVAL" } });
	}
	planGroups(program, fd, groups);
	if (state === CONNECTED) {
		const to = address(dstPortid, dstGroup === 0 ? 0 : (1 << (dstGroup - 1)) >>> 0);
		program.syscall(`connect a netlink socket to port ${dstPortid}`, SYS_connect, [fd, to, to.length]);
	}
	planFlags(program, fd, entry.flags, 0);
	return fd;
}

export const netlinkSocket: FileKind = {
	name: "netlink socket",
	type: fd_types.NETLINKSK,
	source: "sock_diag(7), getsockopt(2)",
	matches: hasFamily(AF_NETLINK),
	findBlockers: findNetlinkBlockers,
	dump: dumpNetlink,
	plan: planNetlink,
	finish: ({ nlsk }, { program, number }) => planSignals(program, number, nlsk?.flags ?? 0),
};
