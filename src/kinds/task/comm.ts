// SPDX-License-Identifier: GPL-2.0-only
// Name, flags and run state of a task. A stopped one is stopped again before it executes its first instruction.
// Source: proc_pid_stat(5), PR_SET_NAME(2const), signal(7). Images: core-PID.img, task_core_entry.

import type { Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import { hasField } from "../../images/index.ts";
import { PR_SET_NAME } from "../../kernel/abi/prctl.ts";
import { SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU } from "../../kernel/abi/signal.ts";
import { SYS_prctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { sendSignal } from "../../sys/process.ts";
import type { DumpedTask, TaskDraft, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { corruptCore, getTaskCore } from "./image-checks.ts";

const TASK_ALIVE = 1;
const TASK_DEAD = 2;
const TASK_STOPPED = 3;
/** TASK_COMM_LEN without the NUL. */
const COMM_MAX = 15;
const STOP_SIGNALS = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU];

function dumpName(task: DumpedTask, draft: TaskDraft, _ask: Program): undefined {
	const { tc, threadCore } = draft.core;
	if (tc === undefined || threadCore === undefined) return undefined;
	const stopSigno = task.thread.groupStop;
	tc.comm = task.status.name.slice(0, COMM_MAX);
	threadCore.comm = tc.comm;
	tc.flags = task.stat.flags;
	tc.exitCode = 0;
	tc.taskState = stopSigno === 0 ? TASK_ALIVE : TASK_STOPPED;
	if (stopSigno !== 0) tc.stopSigno = stopSigno;
	return undefined;
}

function planName(image: TaskImage, plan: TaskPlan): void {
	const tc = getTaskCore(image);
	if (tc.taskState === TASK_DEAD)
		throw new UnsupportedError("UNSUPPORTED_ZOMBIE", `pid ${image.pstree.pid} was dead when it was dumped`, {
			remedy: "restore these images with the original criu",
		});
	if (tc.taskState !== TASK_ALIVE && tc.taskState !== TASK_STOPPED)
		throw corruptCore(image, `tc.task_state is ${tc.taskState}`);
	const end = tc.comm.indexOf(0);
	const name = tc.comm.subarray(0, Math.min(end < 0 ? tc.comm.length : end, COMM_MAX));
	const text = new Uint8Array(COMM_MAX + 1);
	text.set(name);
	plan.programs.state.syscall("set the name", SYS_prctl, [PR_SET_NAME, text]);
	if (tc.taskState !== TASK_STOPPED) return;
	if (hasField(tc, "stopSigno") && !STOP_SIGNALS.includes(tc.stopSigno))
		throw corruptCore(image, `tc.stop_signo is ${tc.stopSigno}`);
	// Always SIGSTOP: the others may be blocked, caught, or void in a group that is orphaned now.
	plan.beforeDetach.push({ what: "stop it again", run: (pid) => void sendSignal(pid, SIGSTOP) });
}

/** Name, flags and run state. */
export const comm: TaskKind = { name: "comm", dump: dumpName, plan: planName };
