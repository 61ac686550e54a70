// SPDX-License-Identifier: GPL-2.0-only
// Signals that wait, of the whole task and of its thread, with their siginfo and in their order. More come while the task
// stands still: they are looked at again and again, and what a timer has sent must fit to what is noted of that timer.
// Source: ptrace(2) PTRACE_PEEKSIGINFO, rt_sigqueueinfo(2). Images: core-PID.img, signal_queue_entry.

import { siginfo_entrySchema, type signal_queue_entry, signal_queue_entrySchema } from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { parseSiginfoHead, SIGINFO_SIZE } from "../../kernel/abi/siginfo.ts";
import {
	_NSIG,
	SI_KERNEL,
	SI_TIMER,
	SIGALRM,
	SIGKILL,
	SIGPROF,
	SIGSTOP,
	SIGVTALRM,
	signalName,
} from "../../kernel/abi/signal.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import {
	SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo,
	SYS_sched_yield,
	SYS_tkill,
} from "../../kernel/abi/syscalls.x86_64.ts";
import { readStat } from "../../kernel/procfs/stat.ts";
import { log } from "../../log.ts";
import { mustSyscall, syscall } from "../../sys/host.ts";
import { sendSignal } from "../../sys/process.ts";
import { peekSiginfo } from "../../sys/ptrace.ts";
import type {
	CoreImage,
	DumpedTask,
	DumpedThread,
	TaskDraft,
	TaskImage,
	TaskKind,
	TaskPlan,
	ThreadDraft,
	ThreadImage,
	ThreadPlan,
} from "../kind.ts";
import { corruptCore, getTaskCore, getThreadCore } from "./image-checks.ts";

const TASK_STOPPED = 3;
const STOP_TIMEOUT_MS = 1000;
/** More than any sane RLIMIT_SIGPENDING; bounds the plan of a hostile image. */
const MAX_PENDING = 1 << 18;
/** Where a timer's siginfo keeps si_sys_private, by which older kernels find the timer to arm again. */
const SYS_PRIVATE = 32;
/** Where it keeps si_timerid. Source: siginfo.h. */
const SI_TIMERID = 16;
/** What interval timers send. */
const INTERVAL_SIGNALS = new Set([SIGALRM, SIGVTALRM, SIGPROF]);

function encodeQueue(infos: readonly Uint8Array[]): signal_queue_entry {
	return create(signal_queue_entrySchema, {
		signals: infos.map((siginfo) => create(siginfo_entrySchema, { siginfo })),
	});
}

const drafts = new WeakMap<DumpedThread, ThreadDraft>();

function dumpShared(task: DumpedTask, draft: TaskDraft): undefined {
	const { tc } = draft.core;
	if (tc !== undefined) tc.signalsS = encodeQueue(peekSiginfo(task.thread.tid, true));
	return undefined;
}

function dumpPrivate(thread: DumpedThread, draft: ThreadDraft): undefined {
	const { threadCore } = draft.core;
	if (threadCore !== undefined) threadCore.signalsP = encodeQueue(peekSiginfo(thread.tid, false));
	drafts.set(thread, draft);
	return undefined;
}

/** A timer as sender of signals: a POSIX timer by its id, or an interval timer by its signal. */
export type TimerName = `posix ${number}` | `interval ${number}`;

/** Which timer has sent a signal; undefined for any other sender. Each of them has at most one signal waiting. */
function timerOf(info: Uint8Array): TimerName | undefined {
	const { signo, code } = parseSiginfoHead(info);
	if (code === SI_TIMER) return `posix ${viewOf(info).getInt32(SI_TIMERID, true)}`;
	return code === SI_KERNEL && INTERVAL_SIGNALS.has(signo) ? `interval ${signo}` : undefined;
}

/** What two looks at the same signal have in common. */
const keyOf = (info: Uint8Array): string => timerOf(info) ?? Buffer.from(info).toString("latin1");

/** The signals that wait now and aren't noted. */
export function findNewSignals(noted: readonly Uint8Array[], now: readonly Uint8Array[]): Uint8Array[] {
	const counts = new Map<string, number>();
	for (const key of noted.map(keyOf)) counts.set(key, (counts.get(key) ?? 0) + 1);
	return now.filter((info) => {
		const key = keyOf(info);
		const count = counts.get(key) ?? 0;
		counts.set(key, count - 1);
		return count <= 0;
	});
}

/**
 * Looks at all queues of a task again, and adds new signals that `takes` says yes to. None of those that are noted is taken
 * back: one that is gone was a SIGSTOP, which nothing blocks and our own stops use up.
 */
function lookAgain(task: DumpedTask, draft: TaskDraft, takes: (info: Uint8Array) => boolean): void {
	const add = (noted: signal_queue_entry | undefined, now: readonly Uint8Array[]) => {
		if (noted !== undefined && now.length === 0) return noted;
		const before = (noted?.signals ?? []).map(({ siginfo }) => siginfo);
		return encodeQueue([...before, ...findNewSignals(before, now).filter(takes)]);
	};
	const { tc } = draft.core;
	if (tc !== undefined) tc.signalsS = add(tc.signalsS, peekSiginfo(task.thread.tid, true));
	for (const thread of task.threads) {
		const core = drafts.get(thread)?.core.threadCore;
		if (core !== undefined) core.signalsP = add(core.signalsP, peekSiginfo(thread.tid, false));
	}
}

/** Notes all signals that wait by now for a task that stands still. Gives the timers that have gone off since the last look. */
export function renewPending(task: DumpedTask, draft: TaskDraft): Set<TimerName> {
	const fired = new Set<TimerName>();
	lookAgain(task, draft, (info) => {
		const timer = timerOf(info);
		if (timer !== undefined) fired.add(timer);
		return true;
	});
	return fired;
}

/** Notes what has come since, but for signals of timers: by what was noted of them, their time comes after the restore. */
function addLate(task: DumpedTask, draft: TaskDraft): void {
	lookAgain(task, draft, (info) => timerOf(info) === undefined);
}

/** Calls `queue` for each signal; gives whether SIGSTOP was among them, which can't be queued as it can't be blocked. */
function planQueue(
	image: CoreImage,
	field: string,
	entry: signal_queue_entry | undefined,
	queue: (signo: number, info: Uint8Array) => void,
): boolean {
	let stops = false;
	const signals = entry?.signals ?? [];
	if (signals.length > MAX_PENDING) throw corruptCore(image, `${field} has ${signals.length} signals`);
	for (const { siginfo } of signals) {
		if (siginfo.length !== SIGINFO_SIZE)
			throw corruptCore(image, `${field} has a siginfo of ${siginfo.length} bytes, there must be ${SIGINFO_SIZE}`);
		const { signo, code } = parseSiginfoHead(siginfo);
		if (signo < 1 || signo > _NSIG || signo === SIGKILL) throw corruptCore(image, `${field} has signal ${signo}`);
		if (signo === SIGSTOP) {
			stops = true;
			continue;
		}
		const info = siginfo.slice();
		if (code === SI_TIMER) info.fill(0, SYS_PRIVATE, SYS_PRIVATE + 4);
		queue(signo, info);
	}
	return stops;
}

const REMEDIES = {
	EAGAIN: "too many signals wait for this user: raise the limit of pending signals (ulimit -i) for criu",
};

/** SIGSTOP can't be queued beforehand: nothing blocks it. A task that stands still keeps it waiting. */
function stopAgain(isStopped: boolean, plan: ThreadPlan, send: (task: number) => void): void {
	if (!isStopped) plan.beforeDetach.push({ what: "send SIGSTOP", run: send });
	else
		plan.afterDetach.push({
			what: "send SIGSTOP",
			run: (task) => {
				awaitGroupStop(task);
				send(task);
			},
		});
}

/** Waits until a task that was sent a stop has taken it. */
function awaitGroupStop(tid: number): void {
	for (const deadline = performance.now() + STOP_TIMEOUT_MS; performance.now() < deadline; syscall(SYS_sched_yield))
		if (readStat(tid).state === "T") return;
	log.warn(`task ${tid} isn't stopped yet: a second SIGSTOP is lost`);
}

const isStopped = (image: TaskImage) => getTaskCore(image).taskState === TASK_STOPPED;

function planShared(image: TaskImage, plan: TaskPlan): void {
	const { pid } = image.pstree;
	const stops = planQueue(image, "tc.signals_s", getTaskCore(image).signalsS, (signo, info) =>
		plan.programs.signals.syscall(`queue ${signalName(signo)}`, SYS_rt_sigqueueinfo, [pid, signo, info], {
			remedies: REMEDIES,
		}),
	);
	if (stops) stopAgain(isStopped(image), plan, (task) => void sendSignal(task, SIGSTOP));
}

function planPrivate(image: ThreadImage, plan: ThreadPlan): void {
	const { pid } = image.task.pstree;
	const stops = planQueue(image, "thread_core.signals_p", getThreadCore(image).signalsP, (signo, info) =>
		plan.programs.signals.syscall(
			`queue ${signalName(signo)} for the thread`,
			SYS_rt_tgsigqueueinfo,
			[pid, image.tid, signo, info],
			{ remedies: REMEDIES },
		),
	);
	const toThread = (tid: number) => void mustSyscall(`to task ${tid}`, SYS_tkill, tid, SIGSTOP);
	if (stops) stopAgain(isStopped(image.task), plan, toThread);
}

/** Signals that wait to be delivered. */
export const pendingSignals: TaskKind = {
	name: "pending-signals",
	dump: dumpShared,
	dumpThread: dumpPrivate,
	conclude: addLate,
	plan: planShared,
	planThread: planPrivate,
};
