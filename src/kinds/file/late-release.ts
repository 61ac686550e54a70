// SPDX-License-Identifier: GPL-2.0-only
// Files that nobody has any more and that are still there: sockets that are on their way in each other's queues, and what else is on
// its way with them. The kernel frees such circles when it looks for them, which it does after a unix socket has been closed, and
// not at once. Source: unix(7) SCM_RIGHTS; unix_gc.

import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM } from "../../kernel/abi/socket.ts";
import { SYS_socket } from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "../../sys/file.ts";
import { mustSyscall } from "../../sys/host.ts";

const PATIENCE_MS = 5000;
const LOOK_MS = 5;

/** Gives the kernel a reason and the time to free what nobody has. True as soon as it `isFree`; false when that doesn't happen. */
export function awaitRelease(isFree: () => boolean): boolean {
	for (const until = performance.now() + PATIENCE_MS; performance.now() < until; ) {
		closeFd(mustSyscall("to let the kernel look for lost sockets", SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
		if (isFree()) return true;
		Bun.sleepSync(LOOK_MS);
	}
	return false;
}
