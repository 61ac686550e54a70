// SPDX-License-Identifier: GPL-2.0-only
// Session and process group. They are in pstree.img, which the engine writes; here is what can't be kept. Source: setsid(2), setpgid(2), credentials(7).

import { type CriuError, UnsupportedError, UsageError } from "../../errors.ts";
import type { DumpContext, DumpedTask, RestoreContext, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { corruptCore } from "./image-checks.ts";

const SHELL_JOB = "start it with setsid, or use --shell-job at dump and restore";

function findSessionBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	const sid = task.status.nsSid.at(-1) ?? task.stat.session;
	if (sid === 0)
		return [
			new UnsupportedError("FOREIGN_SESSION", `the session of pid ${task.pid} lies outside of its pid namespace`, {
				remedy: "let the first process of the namespace call setsid",
			}),
		];
	if (!task.isRoot || sid === task.vpid || context.options.shellJob) return [];
	return [
		new UsageError("NOT_SESSION_LEADER", `pid ${task.pid} is not a session leader (its session is ${sid})`, {
			remedy: SHELL_JOB,
		}),
	];
}

/** The calls themselves are steps of the tree's making: plan/tree-shape.ts. */
function checkSession(image: TaskImage, _plan: TaskPlan, context: RestoreContext): void {
	const { pid, ppid, sid, pgid } = image.pstree;
	if (sid === 0 || pgid === 0) throw corruptCore(image, "its entry in pstree.img has no session or group");
	if (sid === pid && pgid !== pid)
		throw corruptCore(image, `its entry in pstree.img leads session ${sid}, but is in group ${pgid}`);
	if (sid !== pid && ppid === 0 && !context.options.shellJob)
		throw new UsageError("NOT_SESSION_LEADER", `pid ${pid} was no session leader when it was dumped`, {
			remedy: "use --shell-job to restore it into criu's own session",
		});
}

/** Session and process group of a task. */
export const session: TaskKind = {
	name: "session",
	findBlockers: findSessionBlockers,
	plan: checkSession,
};
