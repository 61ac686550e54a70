// SPDX-License-Identifier: GPL-2.0-only
// The sizes of buffers that a new unix socket has on this host: one that had just these gets them by being made.

import { AF_UNIX, SO_RCVBUF, SO_SNDBUF, SOCK_CLOEXEC, SOCK_DGRAM, SOL_SOCKET } from "../../kernel/abi/socket.ts";
import { SYS_socket } from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd } from "../../sys/file.ts";
import { mustSyscall } from "../../sys/host.ts";
import { getIntOption } from "../../sys/socket.ts";
import type { RestoreContext } from "../kind.ts";

/** In bytes, as SO_SNDBUF and SO_RCVBUF tell them. */
export interface BufferSizes {
	readonly send: number;
	readonly receive: number;
}

/** Asked of a socket of ours, once in a restore. @throws KernelError */
export function usualBuffers(context: Pick<RestoreContext, "once">): BufferSizes {
	return context.once("unix-usual-buffers", () => {
		const fd = mustSyscall("for its usual buffers", SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		try {
			return { send: getIntOption(fd, SOL_SOCKET, SO_SNDBUF), receive: getIntOption(fd, SOL_SOCKET, SO_RCVBUF) };
		} finally {
			closeFd(fd);
		}
	});
}
