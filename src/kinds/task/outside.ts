// SPDX-License-Identifier: GPL-2.0-only
// What hangs on a task without being its own doing: score for the out-of-memory killer, audit login id, cgroup set.
// Source: proc_pid_oom_score_adj(5), proc_pid_loginuid(5). Images: core-PID.img, task_core_entry.

import { messageOf } from "../../errors.ts";
import { hasField } from "../../images/index.ts";
import { O_WRONLY } from "../../kernel/abi/fcntl.ts";
import { SYS_close, SYS_openat, SYS_write } from "../../kernel/abi/syscalls.x86_64.ts";
import { readLoginuid, readOomScoreAdj } from "../../kernel/procfs/task-files.ts";
import { log } from "../../log.ts";
import { toCString, writeFileText } from "../../sys/file.ts";
import type {
	DumpedTask,
	DumpedThread,
	RestoreContext,
	TaskDraft,
	TaskImage,
	TaskKind,
	TaskPlan,
	ThreadDraft,
} from "../kind.ts";
import { checkRange, getTaskCore } from "./image-checks.ts";

const UNSET_LOGINUID = 0xffffffff;
const OOM_MIN = -1000;
const OOM_MAX = 1000;
/** The one set that dumps of this version have: criu's own. */
const OWN_CGROUP_SET = 1;
const AT_FDCWD = -100;

function dumpOutside(task: DumpedTask, draft: TaskDraft): undefined {
	const { tc } = draft.core;
	if (tc === undefined) return undefined;
	tc.oomScoreAdj = readOomScoreAdj(task.pid);
	const loginuid = readLoginuid(task.pid);
	if (loginuid !== undefined) tc.loginuid = loginuid;
	tc.cgSet = OWN_CGROUP_SET;
	return undefined;
}

function dumpCgroupSet(_thread: DumpedThread, draft: ThreadDraft): undefined {
	if (draft.core.threadCore !== undefined) draft.core.threadCore.cgSet = OWN_CGROUP_SET;
	return undefined;
}

function planOomScore(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const tc = getTaskCore(image);
	if (!hasField(tc, "oomScoreAdj")) return;
	const score = checkRange(image, "tc.oom_score_adj", tc.oomScoreAdj, OOM_MIN, OOM_MAX);
	if (score === context.once("own:oom_score_adj", () => readOomScoreAdj("self"))) return;
	plan.outside.push({
		what: `set oom_score_adj ${score}`,
		run: (pid) => {
			try {
				writeFileText(`/proc/${pid}/oom_score_adj`, String(score));
			} catch (error) {
				log.warn(`oom_score_adj ${score} of pid ${pid} isn't restored: ${messageOf(error)}`);
			}
		},
	});
}

/** Only the task itself may write its login id, and only once: whether it could isn't an error. */
function planLoginuid(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const tc = getTaskCore(image);
	if (!hasField(tc, "loginuid") || tc.loginuid === UNSET_LOGINUID) return;
	const own = context.once("own:loginuid", () => readLoginuid("self"));
	if (own === undefined || own === tc.loginuid) return;
	const { tree } = plan.programs;
	const text = new TextEncoder().encode(String(tc.loginuid));
	const fd = tree.syscall("open loginuid", SYS_openat, [AT_FDCWD, toCString("/proc/self/loginuid"), O_WRONLY, 0], {
		check: "any",
	});
	tree.syscall(`set login id ${tc.loginuid}`, SYS_write, [fd, text, text.length], { check: "any" });
	tree.syscall("close loginuid", SYS_close, [fd], { check: "any" });
}

/** Out-of-memory score, login id, cgroup set. */
export const outside: TaskKind = {
	name: "outside",
	dump: dumpOutside,
	dumpThread: dumpCgroupSet,
	plan: (image, plan, context) => {
		planOomScore(image, plan, context);
		planLoginuid(image, plan, context);
	},
};
