// SPDX-License-Identifier: GPL-2.0-only
// Files without a name of their own, for all tasks that have them: made by the first task before any opens its files.
// Images: remap-fpath.img, ghost-file-ID.img.

import type { RestoreContext, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { planNameless } from "./reg-plan.ts";

function planFirst(_image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	context.once("nameless-files", () => planNameless(plan.programs.files, plan, context));
}

/** Comes before the descriptors; mapped ones exist by then. */
export const nameless: TaskKind = { name: "files without a name", plan: planFirst };
