// SPDX-License-Identifier: GPL-2.0-only
// Sockets of this process as the kernel tells of them.

import { expect, test } from "bun:test";
import { NETLINK_ROUTE } from "../../../src/kernel/abi/netlink.ts";
import { AF_INET, AF_NETLINK, AF_UNIX, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM } from "../../../src/kernel/abi/socket.ts";
import * as nr from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { inetDiagRequest, parseInetDiag } from "../../../src/kernel/netlink/inet-diag.ts";
import { netlinkDiagRequest, parseNetlinkDiag } from "../../../src/kernel/netlink/netlink-diag.ts";
import { SockDiag } from "../../../src/kernel/netlink/sock-diag.ts";
import { parseUnixDiag, type UnixDiag, unixDiagRequest } from "../../../src/kernel/netlink/unix-diag.ts";
import { statFd } from "../../../src/sys/file.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { OwnFds } from "../../kinds/file/fixtures.ts";

const inodeOf = (fd: number) => Number(statFd(fd).ino);

test("sockets of every family are found with their state", () => {
	using fds = new OwnFds();
	using diag = SockDiag.open();
	const pair = new Int32Array(2);
	mustSyscall("for a test", nr.SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair);
	const [a = -1, b = -1] = pair;
	const found: UnixDiag[] = [];
	expect(diag.dump(unixDiagRequest(), (payload) => found.push(parseUnixDiag(payload)))).toBe(true);
	const one = found.find(({ ino }) => ino === inodeOf(a));
	expect(one?.peer).toBe(inodeOf(b));
	const alone = diag.find(unixDiagRequest(inodeOf(b)));
	expect(alone === undefined ? undefined : parseUnixDiag(alone).peer).toBe(inodeOf(a));
	for (const fd of pair) mustSyscall("for a test", nr.SYS_close, fd);
	expect(diag.find(unixDiagRequest(0x7fffffff))).toBeUndefined();

	const udp = fds.make(nr.SYS_socket, AF_INET, SOCK_DGRAM, 0);
	mustSyscall("for a test", nr.SYS_bind, udp, Uint8Array.of(2, 0, 0, 0, 127, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0), 16);
	const ports: number[] = [];
	diag.dump(inetDiagRequest(AF_INET, 17), (payload) => {
		const { ino, srcPort, src } = parseInetDiag(payload);
		if (ino === inodeOf(udp) && src.join(".") === "127.0.0.9") ports.push(srcPort);
	});
	expect(ports.length).toBe(1);

	const route = fds.make(nr.SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	const protocols: number[] = [];
	diag.dump(netlinkDiagRequest(), (payload) => {
		const { ino, protocol } = parseNetlinkDiag(payload);
		if (ino === inodeOf(route)) protocols.push(protocol);
	});
	expect(protocols.length).toBeLessThanOrEqual(1);
});
