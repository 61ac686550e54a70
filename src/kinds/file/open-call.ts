// SPDX-License-Identifier: GPL-2.0-only
// open(2) as the program once made it: of that of 64-bit code the kernel makes files of any size (O_LARGEFILE), which shows in their
// flags; of that of 32-bit code only when it's asked for. Source: open(2), fs/open.c.

import type { Arg, OpOptions, OpRef, Program, What } from "../../agent/program.ts";
import { AT_FDCWD, O_LARGEFILE, O_PATH } from "../../kernel/abi/fcntl.ts";
import { SYS_openat } from "../../kernel/abi/syscalls.x86_64.ts";
import type { TaskPlan } from "../kind.ts";

const SYS32_openat = 295;

/** Adds what opens a path with the flags that a description is to have. */
export function planOpenCall(
	program: Program,
	what: What,
	path: Arg,
	flags: number,
	plan: Pick<TaskPlan, "hasCalls32">,
	options?: OpOptions,
): OpRef {
	const args = [AT_FDCWD, path, flags, 0];
	return plan.hasCalls32 && (flags & (O_LARGEFILE | O_PATH)) === 0
		? program.syscall32(what, SYS32_openat, args, options)
		: program.syscall(what, SYS_openat, args, options);
}
