// SPDX-License-Identifier: GPL-2.0-only
// Scheduling of a thread: policy, real-time priority, nice value; timer slack and I/O priority in fields of our own.
// Source: sched(7), sched_setattr(2). Images: core-PID.img, thread_core_entry.

import { type CriuError, UnsupportedError } from "../../errors.ts";
import type { thread_core_entry } from "../../images/gen/core_pb.ts";
import { hasField } from "../../images/index.ts";
import { PR_SET_TIMERSLACK } from "../../kernel/abi/prctl.ts";
import { PRIO_PROCESS } from "../../kernel/abi/resource.ts";
import * as sched from "../../kernel/abi/sched.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import {
	SYS_getpriority,
	SYS_ioprio_get,
	SYS_ioprio_set,
	SYS_prctl,
	SYS_sched_getattr,
	SYS_sched_setattr,
	SYS_setpriority,
} from "../../kernel/abi/syscalls.x86_64.ts";
import { readStat } from "../../kernel/procfs/stat.ts";
import { readTimerslackNs } from "../../kernel/procfs/task-files.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import type {
	DumpedTask,
	DumpedThread,
	RestoreContext,
	TaskKind,
	ThreadDraft,
	ThreadImage,
	ThreadPlan,
} from "../kind.ts";
import { checkRange, corruptCore, getThreadCore } from "./image-checks.ts";

const KEPT_POLICIES = [sched.SCHED_NORMAL, sched.SCHED_FIFO, sched.SCHED_RR, sched.SCHED_BATCH, sched.SCHED_IDLE];
const RT_PRIO_MAX = 99;
const NICE_MIN = -20;
const NICE_MAX = 19;
const IOPRIO_WHO_PROCESS = 1;
const IOPRIO_CLASS_SHIFT = 13;
const DEFAULT_SLACK_NS = 50_000n;

function isRealTime(policy: number): boolean {
	return policy === sched.SCHED_FIFO || policy === sched.SCHED_RR;
}

/** Scheduling attributes of a thread, 0 for our own. @throws KernelError */
function readAttributes(tid: number): sched.SchedAttr {
	const bytes = new Uint8Array(sched.SchedAttr.size);
	mustSyscall(`of task ${tid}`, SYS_sched_getattr, tid, bytes, bytes.length, 0);
	return sched.SchedAttr.read(viewOf(bytes));
}

function findSchedBlockers(task: DumpedTask): CriuError[] {
	return task.threads.flatMap(({ tid }) => {
		const { sched_policy: policy } = readAttributes(tid);
		if (KEPT_POLICIES.includes(policy)) return [];
		const name = policy === sched.SCHED_DEADLINE ? "SCHED_DEADLINE" : `scheduling policy ${policy}`;
		return [
			new UnsupportedError("UNSUPPORTED_SCHED", `task ${tid} uses ${name}, which images can't hold`, {
				remedy: "change its policy with chrt(1) before the dump",
			}),
		];
	});
}

/** The I/O priority that follows from the nice value alone. Source: linux/ioprio.h:task_nice_ioprio. */
function derivedIoprio(policy: number, nice: number): number {
	const ioClass = policy === sched.SCHED_IDLE ? 3 : isRealTime(policy) ? 1 : 2;
	return (ioClass << IOPRIO_CLASS_SHIFT) | Math.floor((nice + 20) / 5);
}

/** What CRIU's images have no field for: kept in fields of ours where it differs from what every task starts with. */
function dumpExtras(thread: DumpedThread, core: thread_core_entry, attr: sched.SchedAttr): void {
	const { tid } = thread;
	const slack = readTimerslackNs(tid);
	if (slack !== DEFAULT_SLACK_NS && slack !== 0n) core.timerSlackNs = slack;
	const ioprio = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid);
	if (ioprio >>> IOPRIO_CLASS_SHIFT !== 0 && ioprio > 0 && ioprio !== derivedIoprio(attr.sched_policy, core.schedNice))
		core.ioprio = ioprio;
}

function planExtras(core: thread_core_entry, plan: ThreadPlan): void {
	const { state } = plan.programs;
	if (hasField(core, "timerSlackNs"))
		state.syscall("set the timer slack", SYS_prctl, [PR_SET_TIMERSLACK, core.timerSlackNs]);
	if (hasField(core, "ioprio"))
		state.syscall("set the I/O priority", SYS_ioprio_set, [IOPRIO_WHO_PROCESS, 0, core.ioprio], {
			remedies: { EINVAL: "the image holds no valid I/O priority", EPERM: "run criu with the capability sys_nice" },
		});
}

function dumpSched(thread: DumpedThread, draft: ThreadDraft): undefined {
	const { threadCore } = draft.core;
	if (threadCore === undefined) return undefined;
	const attr = readAttributes(thread.tid);
	const resets = (attr.sched_flags & sched.SCHED_FLAG_RESET_ON_FORK) !== 0n;
	threadCore.schedPolicy = attr.sched_policy | (resets ? sched.SCHED_RESET_ON_FORK : 0);
	if (isRealTime(attr.sched_policy)) threadCore.schedPrio = attr.sched_priority;
	// Real-time policies hide it from sched_getattr(2). The system call gives 20 - nice.
	threadCore.schedNice = 20 - mustSyscall(`of task ${thread.tid}`, SYS_getpriority, PRIO_PROCESS, thread.tid);
	dumpExtras(thread, threadCore, attr);
	return undefined;
}

interface Schedule {
	policy: number;
	priority: number;
	resetOnFork: boolean;
	nice: number;
}

function readOwnSchedule(): Schedule {
	const attr = readAttributes(0);
	return {
		policy: attr.sched_policy,
		priority: attr.sched_priority,
		resetOnFork: (attr.sched_flags & sched.SCHED_FLAG_RESET_ON_FORK) !== 0n,
		nice: readStat("self").nice,
	};
}

function checkSchedule(image: ThreadImage): Schedule {
	const { schedPolicy, schedPrio, schedNice } = getThreadCore(image);
	const policy = schedPolicy & ~sched.SCHED_RESET_ON_FORK;
	if (!KEPT_POLICIES.includes(policy)) throw corruptCore(image, `thread_core.sched_policy is ${schedPolicy}`);
	checkRange(
		image,
		"thread_core.sched_prio",
		schedPrio,
		isRealTime(policy) ? 1 : 0,
		isRealTime(policy) ? RT_PRIO_MAX : 0,
	);
	checkRange(image, "thread_core.sched_nice", schedNice, NICE_MIN, NICE_MAX);
	return {
		policy,
		priority: schedPrio,
		resetOnFork: (schedPolicy & sched.SCHED_RESET_ON_FORK) !== 0,
		nice: schedNice,
	};
}

function planSched(image: ThreadImage, plan: ThreadPlan, context: RestoreContext): void {
	planExtras(getThreadCore(image), plan);
	if (!hasField(getThreadCore(image), "schedPolicy")) return;
	const want = checkSchedule(image);
	const own = context.once("own:schedule", readOwnSchedule);
	const { creds } = plan.programs;
	const remedies = { EPERM: "run criu with the capability sys_nice", EINVAL: "this kernel doesn't know that policy" };
	// A real-time thread has a nice value as well, for when it goes back.
	if (want.nice !== own.nice)
		creds.syscall(`set nice value ${want.nice}`, SYS_setpriority, [PRIO_PROCESS, 0, want.nice], { remedies });
	if (want.policy === own.policy && want.priority === own.priority && want.resetOnFork === own.resetOnFork) return;
	const attr = sched.SchedAttr.encode({
		size: sched.SchedAttr.size,
		sched_policy: want.policy,
		sched_flags: want.resetOnFork ? sched.SCHED_FLAG_RESET_ON_FORK : 0n,
		sched_nice: want.nice,
		sched_priority: want.priority,
	});
	creds.syscall(`set scheduling policy ${want.policy}`, SYS_sched_setattr, [0, attr, 0], { remedies });
}

/** Scheduling of a thread. */
export const schedule: TaskKind = {
	name: "sched",
	findBlockers: findSchedBlockers,
	dumpThread: dumpSched,
	planThread: planSched,
};
