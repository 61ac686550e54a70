// SPDX-License-Identifier: GPL-2.0-only
// Opens what a mapping, exe, cwd or root refers to.

import type { OpRef, Program } from "../../agent/program.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";
import { planOpenReg, toOpenFlags } from "./reg-plan.ts";

/** Adds what opens file `id` with the flags given; the caller closes it. @throws ImageError, UnsupportedError, CriuError */
export function planOpenMapped(
	program: Program,
	id: number,
	flags: number,
	plan: TaskPlan,
	context: RestoreContext,
): OpRef {
	return planOpenReg(program, id, toOpenFlags(flags), plan, context);
}
