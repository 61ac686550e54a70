// SPDX-License-Identifier: GPL-2.0-only
// Connections of page servers: what they ask of the kernel, so that nobody waits for ever for a host that is gone.

import { expect, test } from "bun:test";
import { IPPROTO_TCP, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL } from "../../src/kernel/abi/inet.ts";
import { SO_KEEPALIVE, SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD, SOL_SOCKET } from "../../src/kernel/abi/socket.ts";
import { SYS_getsockopt } from "../../src/kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "../../src/sys/file.ts";
import { loadHost, mustSyscall } from "../../src/sys/host.ts";
import { acceptOne, connectTcp, listenTcp, localPort } from "../../src/sys/tcp.ts";

const LIMIT_SEC = 120;

function read(fd: number, level: number, name: number): number {
	const value = new BigInt64Array(2);
	mustSyscall("for a test", SYS_getsockopt, fd, level, name, value, new Uint32Array([16]));
	return Number(value[0]);
}

test("both ends of a connection hear within two minutes that the other's host is gone", () => {
	loadHost();
	const listening = listenTcp("127.0.0.1", 0);
	const client = connectTcp("127.0.0.1", localPort(listening));
	const server = acceptOne(listening);
	try {
		for (const fd of [client, server]) {
			expect(read(fd, SOL_SOCKET, SO_KEEPALIVE)).toBe(1);
			const [idle, interval, count] = [TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT].map((name) =>
				read(fd, IPPROTO_TCP, name),
			) as [number, number, number];
			expect(idle + interval * count).toBe(LIMIT_SEC);
			for (const name of [SO_RCVTIMEO_OLD, SO_SNDTIMEO_OLD]) expect(read(fd, SOL_SOCKET, name)).toBe(LIMIT_SEC);
		}
	} finally {
		for (const fd of [client, server, listening]) closeFd(fd);
	}
});
