// SPDX-License-Identifier: GPL-2.0-only
// Stopping and resuming tasks by ptrace so that our death at any instant does them no harm: never EXITKILL on a task that
// isn't ours, never single steps or breakpoints, stops are looked at but never consumed (WNOWAIT).

import { CriuError, isErrno, KernelError } from "../errors.ts";
import { SYS_nanosleep, SYS_restart_syscall, SYS_sched_yield } from "../kernel/abi/syscalls.x86_64.ts";
import { readStat } from "../kernel/procfs/stat.ts";
import { readStatus } from "../kernel/procfs/status.ts";
import { STEP_GONE, stepTogether, syscall } from "../sys/host.ts";
import { __WALL, P_PID, readMemory, WEXITED, WNOHANG, WNOWAIT, WSTOPPED, waitId } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import { stopTimeout } from "./blocked-stop.ts";
import { SYS32_restart_syscall } from "./interrupted.ia32.ts";
import { mendInterruption, nameRestartedCall, resumeContext } from "./interrupted.x86_64.ts";
import { getReg, isIa32, REG, REGS_SIZE, type Registers, withRegs } from "./registers.x86_64.ts";
import { type CriticalSection, findThreadSection } from "./rseq-section.ts";
import { SeccompRules } from "./seccomp-rules.ts";

const EAGAIN = 11;
const SIGTRAP = 5;
const SYSCALL_STOP = SIGTRAP | 0x80;
const DETACH_TIMEOUT_MS = 10_000;

/** Why a tracee stopped. */
export type Stop =
	| { kind: "event"; signal: number }
	| { kind: "syscall" }
	| { kind: "signal"; signal: number }
	| { kind: "gone"; status: number; killed: boolean };

/** A stopped thread with all of its register state. */
export interface StoppedThread {
	readonly tid: number;
	/** As to be put back verbatim. */
	readonly regs: Registers;
	readonly xstate: Uint8Array;
	readonly sigmask: bigint;
	/** The signal of a group stop that it is in; 0 when it was running. */
	readonly groupStop: number;
	/** Where it's under seccomp: suspended as long as we trace it. */
	readonly rules?: SeccompRules | undefined;
	/** A restartable sequence that it goes on in; one that is to be aborted has been. */
	readonly section?: CriticalSection | undefined;
}

const pause = new BigInt64Array(2);

/** Sleeps a little, longer the more often it was called before: stops come within microseconds or not at all. */
export function backOff(round: number): void {
	if (round < 20) {
		syscall(SYS_sched_yield);
		return;
	}
	pause[1] = BigInt(Math.min(20_000 * (round - 19), 1_000_000));
	syscall(SYS_nanosleep, pause, 0);
}

function classifyStop(report: { kind: string; status: number }): Stop {
	if (report.kind !== "stopped") return { kind: "gone", status: report.status, killed: report.kind === "killed" };
	const event = report.status >> 8;
	const signal = report.status & 0xff;
	if (event === pt.PTRACE_EVENT_STOP) return { kind: "event", signal };
	return signal === SYSCALL_STOP ? { kind: "syscall" } : { kind: "signal", signal: signal & 0x7f };
}

/** Whether a tracee has stopped or ended by now, without waiting. */
export function peekStop(tid: number): Stop | undefined {
	const report = waitId(P_PID, tid, WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL);
	return report === undefined ? undefined : classifyStop(report);
}

/**
 * Waits for a tracee's next stop or end.
 *
 * @throws CriuError STOP_TIMEOUT when `deadline` (performance.now()) passes; KernelError ECHILD when it isn't a tracee
 */
export function waitStop(tid: number, deadline: number): Stop {
	for (let round = 0; ; round++) {
		const stop = peekStop(tid);
		if (stop !== undefined) return stop;
		// The end of a leader isn't told as long as we hold another thread of it that has ended, too.
		if (round % 32 === 31 && isDead(tid)) return { kind: "gone", status: 0, killed: false };
		if (performance.now() > deadline) throw stopTimeout(tid);
		backOff(round);
	}
}

/** True when a task is a zombie or gone, whether the end of it can be waited for or not. */
export function isDead(tid: number): boolean {
	try {
		const { state } = readStat(tid);
		return state === "Z" || state === "X";
	} catch (error) {
		if (isErrno(error, "ENOENT", "ESRCH")) return true;
		throw error;
	}
}

/**
 * Looks once at a seized thread that was asked to stop: the signal of its group stop, or 0, when it stands still; "gone" when
 * it has ended, which has been passed on to its parent; undefined while it runs.
 */
export function checkInterrupt(tid: number): number | "gone" | undefined {
	for (;;) {
		let stop: Stop | undefined;
		try {
			stop = peekStop(tid);
		} catch (error) {
			// It has executed a program, and is the leader of its process now.
			if (isErrno(error, "ECHILD")) return "gone";
			throw error;
		}
		if (stop === undefined) return undefined;
		if (stop.kind === "event") return stop.signal === SIGTRAP ? 0 : stop.signal;
		if (stop.kind === "gone") {
			// Never blocks: by now a thread that executes a program may have the number.
			passOnDeath(tid, isOurChild(tid), WNOHANG);
			return "gone";
		}
		if (!continueAndInterrupt(tid, stop)) return undefined;
	}
}

/**
 * Lets a thread that was to stop take the signal that came first, and asks again: the stop for a signal may have used up the
 * request (ptrace_stop: any trap clears a pending one), and not every signal then leads back here, SIGSTOP not when SIGCONT
 * came meanwhile. A second request that isn't used up is one more stop. Gives false when a SIGKILL was faster.
 */
function continueAndInterrupt(tid: number, stop: Stop): boolean {
	return tryContinue(tid, stop.kind === "signal" ? stop.signal : 0) && tryInterrupt(tid);
}

/** One PTRACE_CONT. Gives false when a SIGKILL was faster. */
function tryContinue(tid: number, signal: number): boolean {
	try {
		pt.ptrace(pt.PTRACE_CONT, tid, 0, signal);
		return true;
	} catch (error) {
		if (isErrno(error, "ESRCH")) return false;
		throw error;
	}
}

function throwGone(tid: number, stop: Stop | undefined): never {
	const how = stop?.kind === "gone" ? ` (${stop.killed ? "killed by signal" : "exit code"} ${stop.status})` : "";
	throw new CriuError("TASK_GONE", `task ${tid} ended while it was being frozen${how}`, {
		remedy: "nothing is left to dump; start it again",
	});
}

/** Attaches to a thread without stopping it. @throws CriuError naming the reason */
export function seizeThread(tid: number, options: number): void {
	try {
		pt.ptrace(pt.PTRACE_SEIZE, tid, 0, pt.PTRACE_O_TRACESYSGOOD | options);
	} catch (error) {
		if (isErrno(error, "ESRCH"))
			throw new CriuError("NO_SUCH_TASK", `task ${tid} doesn't exist`, { cause: error, remedy: "check the pid" });
		throw error;
	}
}

/**
 * Interrupts a seized thread and waits until it stands still. A signal that was just being delivered is delivered first.
 * Gives the signal of a group stop that it was in, or 0.
 */
export function interruptThread(tid: number, deadline: number): number {
	pt.ptrace(pt.PTRACE_INTERRUPT, tid);
	return awaitStandstill(tid, deadline);
}

/** The rest of interruptThread, for one that was asked to stop. */
export function awaitStandstill(tid: number, deadline: number): number {
	return awaitInterrupt(tid, deadline) ?? throwGone(tid, peekStop(tid));
}

/** Waits until an interrupted thread stands still; undefined when it has ended instead. Else as interruptThread. */
export function awaitInterrupt(tid: number, deadline: number): number | undefined {
	for (;;) {
		const stop = waitStop(tid, deadline);
		if (stop.kind === "gone") return undefined;
		if (stop.kind === "event") return stop.signal === SIGTRAP ? 0 : stop.signal;
		continueAndInterrupt(tid, stop);
	}
}

/** Asks a seized thread to stop, without waiting. Gives false when it runs no more. */
export function requestStop(tid: number): boolean {
	return tryInterrupt(tid);
}

/** Resumes with PTRACE_SYSCALL until the next entry to or exit from a system call. @throws CriuError TASK_GONE */
export function resumeToSyscall(tid: number, deadline: number, withSignal = 0): void {
	for (let signal = withSignal; ; ) {
		pt.ptrace(pt.PTRACE_SYSCALL, tid, 0, signal);
		const stop = waitStop(tid, deadline);
		if (stop.kind === "gone") throwGone(tid, stop);
		if (stop.kind === "syscall") return;
		// A SIGSTOP that comes meanwhile can't be blocked; it takes effect once the thread is let go.
		signal = stop.kind === "signal" ? stop.signal : 0;
	}
}

/** The same for many threads at once. Gives what failed for each, in their order: the others stand at their stops. */
export function tryResumeAll(tids: Int32Array, deadline: number): ({ readonly error: unknown } | undefined)[] {
	const results = stepTogether(pt.PTRACE_SYSCALL, tids, Math.max(0, Math.ceil(deadline - performance.now())));
	return Array.from(results, (result, index) => {
		if (result === 0) return undefined;
		try {
			finishStep(tids[index] ?? 0, result, deadline);
			return undefined;
		} catch (error) {
			return { error };
		}
	});
}

function finishStep(tid: number, result: number, deadline: number): void {
	if (result === -EAGAIN) throw stopTimeout(tid);
	if (result < 0) throw new KernelError("ptrace", -result, `PTRACE_SYSCALL of task ${tid}`);
	if (result === STEP_GONE) throwGone(tid, peekStop(tid));
	// As in resumeToSyscall: signals that can't be blocked.
	resumeToSyscall(tid, deadline, result >> 8 === pt.PTRACE_EVENT_STOP ? 0 : result & 0x7f);
}

/** As tryResumeAll. @throws CriuError TASK_GONE, STOP_TIMEOUT; KernelError: what failed first */
export function resumeAllToSyscall(tids: Int32Array, deadline: number): void {
	const failed = tryResumeAll(tids, deadline).find((failure) => failure !== undefined);
	if (failed !== undefined) throw failed.error;
}

/** As interruptThread, for many that run. Gives what failed for each, in their order: the others stand still. */
export function tryInterruptAll(tids: Int32Array, deadline: number): ({ readonly error: unknown } | undefined)[] {
	const results = stepTogether(pt.PTRACE_INTERRUPT, tids, Math.max(0, Math.ceil(deadline - performance.now())));
	return Array.from(results, (result, index) => {
		const tid = tids[index] ?? 0;
		try {
			if (result === -EAGAIN) throw stopTimeout(tid);
			if (result < 0) throw new KernelError("ptrace", -result, `PTRACE_INTERRUPT of task ${tid}`);
			if (result >> 8 !== pt.PTRACE_EVENT_STOP) awaitStandstill(tid, deadline);
			return undefined;
		} catch (error) {
			return { error };
		}
	});
}

/** The same. @throws CriuError TASK_GONE, STOP_TIMEOUT; KernelError: what failed first */
export function interruptAll(tids: Int32Array, deadline: number): void {
	const failed = tryInterruptAll(tids, deadline).find((failure) => failure !== undefined);
	if (failed !== undefined) throw failed.error;
}

/**
 * Leads a thread that stands before a system call past it, without making it: it would make that call with whatever registers
 * it gets next.
 *
 * @throws CriuError TASK_GONE, STOP_TIMEOUT; KernelError
 */
export function skipCall(tid: number, deadline: number): void {
	if (!pt.isBeforeCall(tid)) return;
	setRegisters(tid, withRegs(getRegisters(tid), { orig_ax: (1n << 64n) - 1n }));
	resumeToSyscall(tid, deadline);
}

/** General registers of a stopped thread: always in the form of 64-bit code, where a register set has that of the thread's code. */
export function getRegisters(tid: number): Registers {
	return pt.getGeneralRegisters(tid, REGS_SIZE);
}

export function setRegisters(tid: number, regs: Registers): void {
	pt.setGeneralRegisters(tid, regs);
}

export function getXstate(tid: number): Uint8Array {
	return pt.getRegset(tid, pt.NT_X86_XSTATE);
}

/**
 * Reads all register state of a thread that stands still, mends a call that only our stop has ended with EINTR, and aborts a
 * restartable sequence as the kernel would: it doesn't once the thread has run code of ours.
 * `handlerPending`: a signal with a handler waits, so that EINTR is what the program has to see. `seccomp`: its mode.
 */
export function readStoppedThread(tid: number, groupStop: number, handlerPending: boolean, seccomp = 0): StoppedThread {
	let regs = getRegisters(tid);
	const rules = SeccompRules.of(tid, seccomp, isIa32(regs));
	const section = findThreadSection(tid, getReg(regs, REG.ip));
	const mended = abortSection(regs, section) ?? (handlerPending ? undefined : mendCall(tid, regs, rules));
	if (mended !== undefined) {
		setRegisters(tid, mended);
		regs = mended;
	}
	const goesOn = section?.noRestart === true ? section : undefined;
	return { tid, regs, xstate: getXstate(tid), sigmask: pt.getSigmask(tid), groupStop, rules, section: goesOn };
}

function abortSection(regs: Registers, section: CriticalSection | undefined): Registers | undefined {
	if (section === undefined || section.noRestart) return undefined;
	return withRegs(regs, { ip: section.abortIp, orig_ax: (1n << 64n) - 1n });
}

function mendCall(tid: number, regs: Registers, rules: SeccompRules | undefined): Registers | undefined {
	return mendInterruption(regs) ?? mendRestart(tid, regs, rules);
}

/** A call that our stop makes the kernel resume by restart_syscall, which would kill: it's issued again instead. */
function mendRestart(tid: number, regs: Registers, rules: SeccompRules | undefined): Registers | undefined {
	if (rules === undefined) return undefined;
	const named = nameRestartedCall(regs, (address, length) => readMemory(tid, address, length));
	const { regs: again, restartBlock } = resumeContext(named);
	return restartBlock && rules.kills(isIa32(regs) ? SYS32_restart_syscall : SYS_restart_syscall) ? again : undefined;
}

/** One PTRACE_DETACH. Gives false when the thread runs, dies, is dead or isn't our tracee: the kernel says ESRCH to all. */
function tryDetach(tid: number, signal: number): boolean {
	try {
		pt.ptrace(pt.PTRACE_DETACH, tid, 0, signal);
		return true;
	} catch (error) {
		if (isErrno(error, "ESRCH")) return false;
		throw error;
	}
}

/** Asks a seized thread to stop. Gives false when it isn't our tracee. */
function tryInterrupt(tid: number): boolean {
	try {
		pt.ptrace(pt.PTRACE_INTERRUPT, tid);
		return true;
	} catch (error) {
		if (isErrno(error, "ESRCH")) return false;
		throw error;
	}
}

function isOurChild(tid: number): boolean {
	try {
		const { tgid, ppid } = readStatus(tid);
		return tgid === tid && ppid === process.pid;
	} catch (error) {
		if (isErrno(error, "ENOENT", "ESRCH")) return false;
		throw error;
	}
}

/**
 * Waits until a tracee that is dying is dead, and lets its parent know: as long as we hold the zombie, the parent neither
 * sees it nor can reap it, and waits for ever. A child of our own stays for whoever started it to reap. Source: ptrace(2)
 * "death under ptrace", wait_consider_task in kernel/exit.c.
 */
export function passOnDeath(tid: number, isOwnChild = isOurChild(tid), flags = 0): void {
	try {
		// A stop would be told as well, and be consumed.
		if (flags === WNOHANG && peekStop(tid)?.kind !== "gone") return;
		waitId(P_PID, tid, WEXITED | __WALL | flags | (isOwnChild ? WNOWAIT : 0));
	} catch (error) {
		if (!isErrno(error, "ECHILD", "ENOENT", "ESRCH")) throw error;
	}
}

/** The next stop of a thread, or its end; also of one that isn't ours any more, as it executed a program or was executed away. */
function waitEnd(tid: number, deadline: number): Stop {
	try {
		return waitStop(tid, deadline);
	} catch (error) {
		if (isErrno(error, "ECHILD")) return { kind: "gone", status: 0, killed: false };
		throw error;
	}
}

/**
 * Lets go of a seized thread; it goes on where its registers say. One that runs is stopped for it, as only a stopped thread
 * can be detached; the death of one that was killed is passed on to its parent. A thread that isn't ours is no error.
 *
 * @throws CriuError STOP_TIMEOUT when one that runs doesn't stop before `deadline`: it stays traced
 */
export function detachThread(tid: number, deadline = performance.now() + DETACH_TIMEOUT_MS): void {
	let signal = 0;
	while (!tryDetach(tid, signal)) {
		if (!tryInterrupt(tid)) return;
		const stop = waitEnd(tid, deadline);
		if (stop.kind === "gone") {
			// A dead leader of living threads can't be passed on.
			passOnDeath(tid, isOurChild(tid), WNOHANG);
			return;
		}
		signal = stop.kind === "signal" ? stop.signal : 0;
	}
}
