// SPDX-License-Identifier: GPL-2.0-only
// Files that a task refers to without a descriptor: mapped ones, the executable, directories.

import type { OpRef, Program } from "../../agent/program.ts";
import { O_LARGEFILE } from "../../kernel/abi/fcntl.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";
import { planOpenReg } from "./reg-plan.ts";

/** Adds what opens such a file; the caller closes the descriptor. @throws ImageError, CriuError FILE_MISSING, FILE_CHANGED */
export function planOpenMapped(
	program: Program,
	id: number,
	flags: number,
	plan: TaskPlan,
	context: RestoreContext,
): OpRef {
	// Nobody sees these flags; without, a large file would be refused to a 32-bit task.
	return planOpenReg(program, id, flags | O_LARGEFILE, plan, context);
}
