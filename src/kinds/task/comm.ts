// SPDX-License-Identifier: GPL-2.0-only
// Name, flags and run state of a task. A stopped one is stopped again before it executes its first instruction.
// Source: proc_pid_stat(5), PR_SET_NAME(2const), signal(7). Images: core-PID.img, task_core_entry.

import { hasField } from "../../images/index.ts";
import { PR_SET_NAME } from "../../kernel/abi/prctl.ts";
import { _NSIG, SIGCHLD, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, signalBit } from "../../kernel/abi/signal.ts";
import { SYS_prctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { sendSignal } from "../../sys/process.ts";
import type {
	DumpedTask,
	DumpedThread,
	RestoreContext,
	TaskDraft,
	TaskImage,
	TaskKind,
	TaskPlan,
	ThreadDraft,
	ThreadImage,
	ThreadPlan,
} from "../kind.ts";
import { checkRange, corruptCore, getTaskCore, getThreadCore } from "./image-checks.ts";
import { ACTION_SIGNALS } from "./sigactions.ts";
import { isContinueUntold, isStopTold } from "./stop-news.ts";

const TASK_ALIVE = 1;
const TASK_STOPPED = 3;
/** Added to the state of a task whose first thread has ended: no other criu knows such a state. */
export const WITHOUT_LEADER = 4200;
/** TASK_COMM_LEN without the NUL. */
const COMM_MAX = 15;
const STOP_SIGNALS = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU];

function dumpState(task: DumpedTask, draft: TaskDraft): undefined {
	const { tc } = draft.core;
	if (tc === undefined) return undefined;
	const stopSigno = task.thread.groupStop;
	tc.comm = task.status.name.slice(0, COMM_MAX);
	tc.flags = task.stat.flags;
	tc.exitCode = 0;
	tc.taskState = stopSigno === 0 ? TASK_ALIVE : TASK_STOPPED;
	if (stopSigno !== 0) tc.stopSigno = stopSigno;
	if (task.leaderExit !== undefined) {
		tc.taskState += WITHOUT_LEADER;
		tc.leaderExitCode = task.leaderExit;
	}
	// The root's is what its new parent gives it.
	if (!task.isRoot && task.stat.exitSignal !== SIGCHLD) tc.exitSignal = task.stat.exitSignal;
	return undefined;
}

function dumpName({ status }: DumpedThread, draft: ThreadDraft): undefined {
	const { threadCore } = draft.core;
	if (threadCore !== undefined) threadCore.comm = status.name.slice(0, COMM_MAX);
	return undefined;
}

/** A leader's name stands in both parts; older images have none for other threads. */
function planName(image: ThreadImage, plan: ThreadPlan): void {
	const thread = getThreadCore(image);
	if (!image.isLeader && !hasField(thread, "comm")) return;
	const comm = image.isLeader ? getTaskCore(image).comm : thread.comm;
	const end = comm.indexOf(0);
	const name = comm.subarray(0, Math.min(end < 0 ? comm.length : end, COMM_MAX));
	const text = new Uint8Array(COMM_MAX + 1);
	text.set(name);
	plan.programs.state.syscall("set the name", SYS_prctl, [PR_SET_NAME, text]);
}

function planState(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const tc = getTaskCore(image);
	checkRange(image, "tc.exit_signal", tc.exitSignal, 0, _NSIG);
	if (tc.taskState !== TASK_ALIVE && tc.taskState !== TASK_STOPPED)
		throw corruptCore(image, `tc.task_state is ${tc.taskState}`);
	if (tc.taskState !== TASK_STOPPED) {
		if (isContinueUntold(image, context)) plan.news = { do: "stop-and-continue", signal: SIGSTOP };
		return;
	}
	if (hasField(tc, "stopSigno") && !STOP_SIGNALS.includes(tc.stopSigno))
		throw corruptCore(image, `tc.stop_signo is ${tc.stopSigno}`);
	const signal = tc.stopSigno !== 0 && stopsFor(image, tc.stopSigno, context) ? tc.stopSigno : SIGSTOP;
	if (isStopTold(image, context)) plan.news = { do: "stop", signal };
	else plan.beforeDetach.push({ what: "stop it again", run: (pid) => void sendSignal(pid, signal) });
}

/** Whether that signal would stop the task: blocked, caught or ignored it doesn't, nor in a group that is orphaned. */
function stopsFor(image: TaskImage, signo: number, context: RestoreContext): boolean {
	if (signo === SIGSTOP) return true;
	const { blkSigset, sigactions } = getTaskCore(image);
	const action = sigactions[ACTION_SIGNALS.indexOf(signo)];
	if ((blkSigset & signalBit(signo)) !== 0n || action === undefined || action.sigaction !== 0n) return false;
	const { pgid, sid } = image.pstree;
	const byPid = context.once("tasks-by-pid", () => new Map(context.tasks.map((task) => [task.tid, task])));
	for (const { pstree } of context.tasks) {
		const parent = byPid.get(pstree.ppid)?.pstree;
		if (pstree.pgid === pgid && parent !== undefined && parent.pgid !== pgid && parent.sid === sid) return true;
	}
	return false;
}

/** Name, flags and run state. */
export const comm: TaskKind = {
	name: "comm",
	dump: dumpState,
	dumpThread: dumpName,
	plan: planState,
	ofDeadLeader: true,
	planThread: planName,
};
