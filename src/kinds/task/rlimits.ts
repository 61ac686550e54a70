// SPDX-License-Identifier: GPL-2.0-only
// Resource limits. They come late, so that the restore itself isn't bound by them.
// Source: getrlimit(2), proc_pid_limits(5). Images: core-PID.img, task_rlimits_entry.

import type { Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import { rlimit_entrySchema, task_rlimits_entrySchema } from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { CAP_SYS_RESOURCE } from "../../kernel/abi/capability.ts";
import { RLIM_NLIMITS, RLIM64_INFINITY, RLIMIT_NAMES, Rlimit64 } from "../../kernel/abi/resource.ts";
import { SYS_prlimit64 } from "../../kernel/abi/syscalls.x86_64.ts";
import { type Rlimit, readLimits } from "../../kernel/procfs/limits.ts";
import { log } from "../../log.ts";
import type { DumpedTask, RestoreContext, TaskDraft, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { corruptCore, getTaskCore } from "./image-checks.ts";
import { hasOwnCapability } from "./own-state.ts";

function dumpLimits(task: DumpedTask, draft: TaskDraft, _ask: Program): undefined {
	const { tc } = draft.core;
	if (tc === undefined) return undefined;
	tc.rlimits = create(task_rlimits_entrySchema, {
		rlimits: readLimits(task.pid).map((limit) => create(rlimit_entrySchema, limit)),
	});
	return undefined;
}

function show(limit: bigint): string {
	return limit === RLIM64_INFINITY ? "unlimited" : String(limit);
}

/** A soft limit above the hard one, which no kernel allows, is cut to it as the original does. */
function clamp(name: string, limit: Rlimit): Rlimit {
	if (limit.cur <= limit.max) return limit;
	log.warn(`limit ${name} of the image is cut from ${show(limit.cur)} to ${show(limit.max)}`);
	return { cur: limit.max, max: limit.max };
}

function planLimits(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const limits = getTaskCore(image).rlimits?.rlimits;
	if (limits === undefined) throw corruptCore(image, "tc.rlimits is missing");
	if (limits.length > RLIM_NLIMITS) throw corruptCore(image, `tc.rlimits has ${limits.length} entries`);
	const own = context.once("own:limits", () => readLimits("self"));
	const mayRaise = hasOwnCapability(context, CAP_SYS_RESOURCE);
	for (const [resource, entry] of limits.entries()) {
		const name = RLIMIT_NAMES[resource] ?? String(resource);
		const want = clamp(name, entry);
		const have = own[resource];
		if (have !== undefined && have.cur === want.cur && have.max === want.max) continue;
		if (have !== undefined && want.max > have.max && !mayRaise)
			throw new UnsupportedError(
				"RLIMIT_TOO_HIGH",
				`pid ${image.pstree.pid} had hard limit ${name} ${show(want.max)}, criu has ${show(have.max)} and may not raise it`,
				{ remedy: "run criu with the capability sys_resource, or raise the limit for it (prlimit(1))" },
			);
		const bytes = Rlimit64.encode({ rlim_cur: want.cur, rlim_max: want.max });
		plan.programs.creds.syscall(`set limit ${name}`, SYS_prlimit64, [0, resource, bytes, 0], {
			remedies: { EPERM: "run criu with the capability sys_resource; for NOFILE raise fs.nr_open (sysctl)" },
		});
	}
}

/** Resource limits of a task. */
export const rlimits: TaskKind = { name: "rlimits", dump: dumpLimits, plan: planLimits };
