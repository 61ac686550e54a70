// SPDX-License-Identifier: GPL-2.0-only
// Run in a network namespace of its own: fills the queue of a listening socket with connections that are closed again, and
// prints how many the table of all unix sockets tells to wait.

import { AF_UNIX, SOCK_STREAM } from "../../../src/kernel/abi/socket.ts";
import * as nr from "../../../src/kernel/abi/syscalls.x86_64.ts";
import { readUnixSockets } from "../../../src/kinds/socket/socket-tables.ts";
import { closeFd, statFd } from "../../../src/sys/file.ts";
import { mustSyscall } from "../../../src/sys/host.ts";

const WAITING = 4000;
const address = Uint8Array.of(AF_UNIX, 0, 0, 0x63);
const listening = mustSyscall("for a test", nr.SYS_socket, AF_UNIX, SOCK_STREAM, 0);
mustSyscall("for a test", nr.SYS_bind, listening, address, address.length);
mustSyscall("for a test", nr.SYS_listen, listening, WAITING);
for (let i = 0; i < WAITING; i++) {
	const socket = mustSyscall("for a test", nr.SYS_socket, AF_UNIX, SOCK_STREAM, 0);
	mustSyscall("for a test", nr.SYS_connect, socket, address, address.length);
	closeFd(socket);
}
console.log(readUnixSockets().get(Number(statFd(listening).ino))?.pending.length ?? 0);
