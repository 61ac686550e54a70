// SPDX-License-Identifier: GPL-2.0-only
// Interval timers and POSIX timers. Made before credentials change, armed last of all, with what was left of their time.
// Source: setitimer(2), timer_create(2), proc_pid_timers(5). Images: core-PID.img, task_timers_entry.

import type { Program } from "../../agent/program.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import {
	type itimer_entry,
	itimer_entrySchema,
	type posix_timer_entry,
	posix_timer_entrySchema,
	task_timers_entrySchema,
} from "../../images/gen/core_pb.ts";
import { create, hasField } from "../../images/index.ts";
import {
	_NSIG,
	SIGALRM,
	SIGEV_NONE,
	SIGEV_SIGNAL,
	SIGEV_THREAD,
	SIGEV_THREAD_ID,
	SIGPROF,
	SIGVTALRM,
} from "../../kernel/abi/signal.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, Itimerspec, Itimerval } from "../../kernel/abi/time.ts";
import { type PosixTimerFacts, readTimers } from "../../kernel/procfs/timers.ts";
import type {
	Completion,
	DumpContext,
	DumpedTask,
	RestoreContext,
	TaskDraft,
	TaskImage,
	TaskKind,
	TaskPlan,
} from "../kind.ts";
import { checkRange, corruptCore, getTaskCore } from "./image-checks.ts";
import { renewPending } from "./pending-signals.ts";
import { planTimerIds } from "./timer-ids.ts";

const SEC_MAX = (1n << 63n) - 1n;
const USEC_MAX = 999_999n;
const NSEC_MAX = 999_999_999n;
const SECOND = 1_000_000_000n;
const MAX_TIMERS = 1 << 16;
const ID_MAX = 0x7fffffff;
const INTERVAL_TIMERS = [
	{ which: ITIMER_REAL, name: "real", signo: SIGALRM },
	{ which: ITIMER_VIRTUAL, name: "virt", signo: SIGVTALRM },
	{ which: ITIMER_PROF, name: "prof", signo: SIGPROF },
] as const;

function findTimerBlockers(task: DumpedTask): CriuError[] {
	const timers = readTimers(task.pid);
	if (timers === undefined)
		return [
			new UnsupportedError("NO_PROC_TIMERS", "this kernel doesn't show timers of processes (/proc/PID/timers)", {
				remedy: "use a kernel with CONFIG_CHECKPOINT_RESTORE and CONFIG_POSIX_TIMERS",
			}),
		];
	return timers
		.filter((timer) => timer.toThread && task.status.threads === 1 && timer.pid !== task.pid)
		.map(
			(timer) =>
				new UnsupportedError(
					"UNSUPPORTED_TIMER",
					`timer ${timer.id} of pid ${task.pid} notifies a thread that is gone`,
					{
						remedy: "let the program delete that timer",
					},
				),
		);
}

function notifyOf(timer: PosixTimerFacts): number {
	if (timer.toThread) return SIGEV_THREAD_ID;
	return { signal: SIGEV_SIGNAL, none: SIGEV_NONE, thread: SIGEV_THREAD }[timer.notify];
}

function encodePosixTimer(
	task: DumpedTask,
	timer: PosixTimerFacts,
	spec: Itimerspec,
	overrun: bigint,
): posix_timer_entry {
	const entry = create(posix_timer_entrySchema, {
		itId: timer.id,
		clockId: timer.clockId >>> 0,
		siSigno: timer.signo,
		itSigevNotify: notifyOf(timer),
		sivalPtr: timer.sivalPtr,
		overrun: Number(overrun < 0n ? 0n : overrun),
		isec: spec.it_interval.tv_sec,
		insec: spec.it_interval.tv_nsec,
		vsec: spec.it_value.tv_sec,
		vnsec: spec.it_value.tv_nsec,
	});
	if (timer.toThread) entry.notifyThreadId = timer.pid === task.pid ? task.vpid : timer.pid;
	return entry;
}

function decodeItimer(bytes: Uint8Array): itimer_entry {
	const { it_interval, it_value } = Itimerval.read(viewOf(bytes));
	return create(itimer_entrySchema, {
		isec: it_interval.tv_sec,
		iusec: it_interval.tv_usec,
		vsec: it_value.tv_sec,
		vusec: it_value.tv_usec,
	});
}

/** Time left until a timer's next expiry and between later ones, in nanoseconds. */
interface TimerTimes {
	readonly value: bigint;
	readonly interval: bigint;
}

/**
 * What is left of a timer that has gone off after a first look at the signals, so that its signal is noted: it must not come
 * once more. The timer was asked in between, at most `elapsed` nanoseconds ago, before or after that instant.
 */
export function leftAfterFiring({ value, interval }: TimerTimes, elapsed: bigint): bigint {
	if (interval === 0n) return 0n;
	return value > 0n && value <= elapsed ? value + interval : value;
}

function mendItimer(entry: itimer_entry, elapsed: bigint): void {
	const [value, interval] = [entry.vsec * SECOND + entry.vusec * 1000n, entry.isec * SECOND + entry.iusec * 1000n];
	const left = leftAfterFiring({ value, interval }, elapsed);
	[entry.vsec, entry.vusec] = [left / SECOND, (left % SECOND) / 1000n];
}

function mendPosixTimer(entry: posix_timer_entry, elapsed: bigint): void {
	const [value, interval] = [entry.vsec * SECOND + entry.vnsec, entry.isec * SECOND + entry.insec];
	const left = leftAfterFiring({ value, interval }, elapsed);
	[entry.vsec, entry.vnsec] = [left / SECOND, left % SECOND];
}

function dumpTimers(task: DumpedTask, draft: TaskDraft, ask: Program, _context: DumpContext): Completion {
	const itimers = INTERVAL_TIMERS.map(({ which, name }) => {
		const out = ask.out(Itimerval.size);
		ask.syscall(`ask for the ${name} interval timer`, nr.SYS_getitimer, [which, out]);
		return out;
	});
	const posix = (readTimers(task.pid) ?? []).map((timer) => {
		const out = ask.out(Itimerspec.size);
		ask.syscall(`ask for timer ${timer.id}`, nr.SYS_timer_gettime, [timer.id, out]);
		return {
			timer,
			out,
			overrun: ask.syscall(`ask for overruns of timer ${timer.id}`, nr.SYS_timer_getoverrun, [timer.id]),
		};
	});
	const start = performance.now();
	return (answers) => {
		const { tc } = draft.core;
		if (tc === undefined) return;
		const fired = renewPending(task, draft);
		const elapsed = BigInt(Math.ceil((performance.now() - start) * 1e6));
		const [real, virt, prof] = itimers.map((out, i) => {
			const entry = decodeItimer(answers.out(out));
			if (fired.has(`interval ${INTERVAL_TIMERS[i]?.signo ?? 0}`)) mendItimer(entry, elapsed);
			return entry;
		});
		tc.timers = create(task_timers_entrySchema, {
			...(real === undefined || virt === undefined || prof === undefined ? {} : { real, virt, prof }),
			posix: posix
				.map(({ timer, out, overrun }) => {
					const spec = Itimerspec.read(viewOf(answers.out(out)));
					const entry = encodePosixTimer(task, timer, spec, answers.result(overrun));
					if (fired.has(`posix ${timer.id}`)) mendPosixTimer(entry, elapsed);
					return entry;
				})
				.reverse(),
		});
	};
}

/** Interval and first expiry; a value of 0 with an interval means that it was just firing. */
function firstOf<T>(interval: T, value: T, isZero: (time: T) => boolean): T {
	return isZero(value) ? interval : value;
}

function planItimer(image: TaskImage, plan: TaskPlan, which: number, name: string, entry: itimer_entry): void {
	const field = `tc.timers.${name}`;
	for (const key of ["isec", "vsec"] as const) checkRange(image, `${field}.${key}`, entry[key], 0n, SEC_MAX);
	for (const key of ["iusec", "vusec"] as const) checkRange(image, `${field}.${key}`, entry[key], 0n, USEC_MAX);
	const interval = { tv_sec: entry.isec, tv_usec: entry.iusec };
	const value = { tv_sec: entry.vsec, tv_usec: entry.vusec };
	const first = firstOf(interval, value, (time) => time.tv_sec === 0n && time.tv_usec === 0n);
	if (first.tv_sec === 0n && first.tv_usec === 0n) return;
	const bytes = Itimerval.encode({ it_interval: interval, it_value: first });
	plan.programs.arm.syscall(`arm the ${name} interval timer`, nr.SYS_setitimer, [which, bytes, 0]);
}

function checkPosixTimers(image: TaskImage, timers: readonly posix_timer_entry[]): posix_timer_entry[] {
	if (timers.length > MAX_TIMERS) throw corruptCore(image, `tc.timers.posix has ${timers.length} entries`);
	const sorted = [...timers].sort((a, b) => a.itId - b.itId);
	const notices = [SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID];
	for (const [i, timer] of sorted.entries()) {
		const field = `tc.timers.posix[it_id ${timer.itId}]`;
		checkRange(image, `${field}.it_id`, timer.itId, 0, ID_MAX);
		if (sorted[i - 1]?.itId === timer.itId) throw corruptCore(image, `${field} is there twice`);
		if (!notices.includes(timer.itSigevNotify))
			throw corruptCore(image, `${field}.it_sigev_notify is ${timer.itSigevNotify}`);
		checkRange(image, `${field}.si_signo`, timer.siSigno, timer.itSigevNotify === SIGEV_NONE ? 0 : 1, _NSIG);
		for (const key of ["isec", "vsec"] as const) checkRange(image, `${field}.${key}`, timer[key], 0n, SEC_MAX);
		for (const key of ["insec", "vnsec"] as const) checkRange(image, `${field}.${key}`, timer[key], 0n, NSEC_MAX);
		if (
			timer.itSigevNotify === SIGEV_THREAD_ID &&
			hasField(timer, "notifyThreadId") &&
			!image.pstree.threads.includes(timer.notifyThreadId)
		)
			throw corruptCore(image, `${field}.notify_thread_id is ${timer.notifyThreadId}, which is none of its threads`);
	}
	return sorted;
}

function armPosixTimer(plan: TaskPlan, timer: posix_timer_entry): void {
	const interval = { tv_sec: timer.isec, tv_nsec: timer.insec };
	const value = { tv_sec: timer.vsec, tv_nsec: timer.vnsec };
	const first = firstOf(interval, value, (time) => time.tv_sec === 0n && time.tv_nsec === 0n);
	if (first.tv_sec === 0n && first.tv_nsec === 0n) return;
	const bytes = Itimerspec.encode({ it_interval: interval, it_value: first });
	plan.programs.arm.syscall(`arm timer ${timer.itId}`, nr.SYS_timer_settime, [timer.itId, 0, bytes, 0]);
}

function planTimers(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const { timers } = getTaskCore(image);
	if (timers === undefined) throw corruptCore(image, "tc.timers is missing");
	const posix = checkPosixTimers(image, timers.posix);
	planTimerIds(image, posix, plan.programs.signals, context);
	for (const timer of posix) armPosixTimer(plan, timer);
	for (const { which, name } of INTERVAL_TIMERS) {
		const entry = timers[name];
		if (entry === undefined) throw corruptCore(image, `tc.timers.${name} is missing`);
		planItimer(image, plan, which, name, entry);
	}
}

/** Interval timers and POSIX timers. */
export const timers: TaskKind = {
	name: "timers",
	findBlockers: findTimerBlockers,
	dump: dumpTimers,
	plan: planTimers,
};
