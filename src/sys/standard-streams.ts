// SPDX-License-Identifier: GPL-2.0-only
// Where what we print goes.

import { SYS_dup3 } from "../kernel/abi/syscalls.x86_64.ts";
import { mustSyscall } from "./host.ts";

/** Makes a stream (0, 1 or 2) another name of a descriptor; it stays open when we become another program. @throws KernelError */
export function duplicateTo(fd: number, stream: number): void {
	if (fd !== stream) mustSyscall(`of fd ${fd}`, SYS_dup3, fd, stream, 0);
}
