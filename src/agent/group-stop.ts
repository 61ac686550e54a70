// SPDX-License-Identifier: GPL-2.0-only
// Group stops of processes that are built and traced still: their parents, whose agents work still, can wait for the news then.
// Not an instruction of the process is executed meanwhile. Source: ptrace(2) "Group-stop", kernel/signal.c.

import { CriuError } from "../errors.ts";
import { SIGCONT, signalBit } from "../kernel/abi/signal.ts";
import { SYS_tkill } from "../kernel/abi/syscalls.x86_64.ts";
import { mustSyscall } from "../sys/host.ts";
import * as pt from "../sys/ptrace.ts";
import { type Stop, waitStop } from "./tracee.ts";

const STEP_TIMEOUT_MS = 10_000;
const ALL_SIGNALS = (1n << 64n) - 1n;

/** A thread with its last registers; its mask is set for the time being to let one signal through. */
export interface FinishedThread {
	readonly tid: number;
	readonly sigmask: bigint;
}

/** Lets a thread go from stop to stop until it is at the one that is wanted. @throws CriuError TASK_GONE, STOP_TIMEOUT */
function resumeUntil(tid: number, wanted: (stop: Stop) => boolean, withSignal = 0): void {
	const deadline = performance.now() + STEP_TIMEOUT_MS;
	for (let signal = withSignal; ; ) {
		pt.ptrace(pt.PTRACE_CONT, tid, 0, signal);
		const stop = waitStop(tid, deadline);
		if (wanted(stop)) return;
		if (stop.kind === "gone")
			throw new CriuError("TASK_GONE", `task ${tid} was ended by somebody else`, {
				remedy: "look who killed it (dmesg, the out-of-memory killer)",
			});
		signal = stop.kind === "signal" ? stop.signal : 0;
	}
}

/** Sends a signal to the first thread, which has it delivered next whatever else waits. */
function deliver(threads: readonly FinishedThread[], signal: number): FinishedThread | undefined {
	const [first] = threads;
	for (const { tid } of threads) pt.setSigmask(tid, ALL_SIGNALS & ~signalBit(signal));
	if (first === undefined) return undefined;
	mustSyscall(`to task ${first.tid}`, SYS_tkill, first.tid, signal);
	resumeUntil(first.tid, (stop) => stop.kind === "signal" && stop.signal === signal);
	return first;
}

function restoreMasks(threads: readonly FinishedThread[]): void {
	for (const { tid, sigmask } of threads) pt.setSigmask(tid, sigmask);
}

/** Stops a process for that signal. It stays so when it's let go. @throws CriuError, KernelError */
export function stopProcess(threads: readonly FinishedThread[], signal: number): void {
	const isStopped = (stop: Stop) => stop.kind === "event" && stop.signal === signal;
	const first = deliver(threads, signal);
	// The first one's stop is asked of all; they take it before anything else.
	for (const { tid } of threads) resumeUntil(tid, isStopped, tid === first?.tid ? signal : 0);
	restoreMasks(threads);
}

/** Continues a stopped process, which stands still all the same; it doesn't get SIGCONT. @throws CriuError, KernelError */
export function continueProcess(threads: readonly FinishedThread[]): void {
	deliver(threads, SIGCONT);
	restoreMasks(threads);
}
