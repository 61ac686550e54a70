// SPDX-License-Identifier: GPL-2.0-only
import type { OpRef, Program } from "../../agent/program.ts";
import { SYS_openat } from "../../kernel/abi/syscalls.x86_64.ts";
import { showPath, toCString } from "../../sys/file.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";
export function planOpenMapped(
	program: Program,
	id: number,
	flags: number,
	_plan: TaskPlan,
	context: RestoreContext,
): OpRef {
	const name = context.files.get(id)?.reg?.name ?? new Uint8Array();
	return program.syscall(`open ${showPath(name)}`, SYS_openat, [-100, toCString(name), flags, 0]);
}
