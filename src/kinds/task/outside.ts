// SPDX-License-Identifier: GPL-2.0-only
// What hangs on a task without being its own doing: score for the out-of-memory killer, audit login id, cgroup set,
// what goes into a core file. Source: proc_pid_oom_score_adj(5), proc_pid_loginuid(5), proc_pid_coredump_filter(5). Images: core-PID.img, task_core_entry.

import { isErrno, messageOf } from "../../errors.ts";
import { hasField } from "../../images/index.ts";
import { O_WRONLY } from "../../kernel/abi/fcntl.ts";
import { SYS_close, SYS_openat, SYS_write } from "../../kernel/abi/syscalls.x86_64.ts";
import { readCoredumpFilter, readLoginuid, readOomScoreAdj } from "../../kernel/procfs/task-files.ts";
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
/** Source: linux/mm_types.h:MMF_DUMP_FILTER_DEFAULT. */
const DEFAULT_FILTER = 0x33;
const AT_FDCWD = -100;

function dumpOutside(task: DumpedTask, draft: TaskDraft): undefined {
	const { tc } = draft.core;
	if (tc === undefined) return undefined;
	tc.oomScoreAdj = readOomScoreAdj(task.pid);
	const loginuid = readLoginuid(task.pid);
	if (loginuid !== undefined) tc.loginuid = loginuid;
	tc.cgSet = OWN_CGROUP_SET;
	const filter = readFilter(task.pid);
	if (filter !== undefined && filter !== DEFAULT_FILTER) tc.coredumpFilter = filter;
	return undefined;
}

/** Undefined in a kernel that writes no core files. */
function readFilter(pid: number | "self"): number | undefined {
	try {
		return readCoredumpFilter(pid);
	} catch (error) {
		if (isErrno(error, "ENOENT")) return undefined;
		throw error;
	}
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
	setFromOutside(plan, "oom_score_adj", String(score));
}

function planFilter(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const tc = getTaskCore(image);
	// Children have their parent's; images of the original tell nothing.
	if (!hasField(tc, "coredumpFilter") || tc.coredumpFilter === context.once("own:filter", () => readFilter("self")))
		return;
	setFromOutside(plan, "coredump_filter", `0x${tc.coredumpFilter.toString(16)}`);
}

/** Writes a file of /proc/PID; a failure isn't one of the restore. */
function setFromOutside(plan: TaskPlan, name: string, value: string): void {
	plan.outside.push({
		what: `set ${name} ${value}`,
		run: (pid) => {
			try {
				writeFileText(`/proc/${pid}/${name}`, value);
			} catch (error) {
				log.warn(`${name} ${value} of pid ${pid} isn't restored: ${messageOf(error)}`);
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

/** Out-of-memory score, login id, cgroup set, filter of core files. */
export const outside: TaskKind = {
	name: "outside",
	dump: dumpOutside,
	dumpThread: dumpCgroupSet,
	plan: (image, plan, context) => {
		planOomScore(image, plan, context);
		planLoginuid(image, plan, context);
		planFilter(image, plan, context);
	},
};
