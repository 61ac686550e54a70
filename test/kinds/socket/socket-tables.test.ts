// SPDX-License-Identifier: GPL-2.0-only
// Sockets that the kernel passed over when it told of all.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { AF_UNIX, SOCK_STREAM } from "../../../src/kernel/abi/socket.ts";
import * as nr from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { findUnixSocket } from "../../../src/kinds/socket/socket-tables.ts";
import { statFd } from "../../../src/sys/file.ts";
import { mustSyscall } from "../../../src/sys/host.ts";
import { bytesOf, OwnFds } from "../file/fixtures.ts";

/** More than an answer about one socket has room for, and no more than net.core.somaxconn is. */
const WAITING = 4000;

test("a listening socket that was passed over is found with all that wait to be accepted", () => {
	using fds = new OwnFds();
	const address = Uint8Array.of(AF_UNIX, 0, 0, ...bytesOf(`criu-passed-over-${process.pid}`));
	const listening = fds.make(nr.SYS_socket, AF_UNIX, SOCK_STREAM, 0);
	mustSyscall("for a test", nr.SYS_bind, listening, address, address.length);
	mustSyscall("for a test", nr.SYS_listen, listening, WAITING);
	for (let i = 0; i < WAITING; i++) {
		const socket = fds.make(nr.SYS_socket, AF_UNIX, SOCK_STREAM, 0);
		mustSyscall("for a test", nr.SYS_connect, socket, address, address.length);
	}
	const ino = Number(statFd(listening).ino);
	const passedOver = { once: <T>() => new Map() as T };
	expect(findUnixSocket(ino, passedOver)?.pending.length).toBe(WAITING);
});

test("a full listening socket doesn't end the table of all when it comes first", () => {
	// Alone in its network namespace: those that wait are none to the kernel's tables when their other sides are closed.
	const { exitCode, stdout, stderr } = Bun.spawnSync([
		"unshare",
		"-n",
		process.execPath,
		join(import.meta.dir, "full-listener.ts"),
	]);
	expect(stderr.toString()).toBe("");
	expect(stdout.toString()).toBe("4000\n");
	expect(exitCode).toBe(0);
});
