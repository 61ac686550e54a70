// SPDX-License-Identifier: GPL-2.0-only
// Pipes of our own. Source: pipe(7).

import { O_CLOEXEC } from "../kernel/abi/fcntl.ts";
import { SYS_pipe2 } from "../kernel/abi/syscalls.x86_64.ts";
import { mustSyscall } from "./host.ts";

/** A new pipe, close-on-exec: where it's read, and where it's written to. @throws KernelError */
export function makePipe(): readonly [reader: number, writer: number] {
	const pair = new Int32Array(2);
	mustSyscall("of our own", SYS_pipe2, pair, O_CLOEXEC);
	return [pair[0] ?? -1, pair[1] ?? -1];
}
