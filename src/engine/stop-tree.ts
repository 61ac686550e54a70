// SPDX-License-Identifier: GPL-2.0-only
// Stopping a tree that goes on meanwhile: it forks, makes threads, dies and executes programs until all of it stands still.

import { stopTimeout, waitsInVfork, whyRunning } from "../agent/blocked-stop.ts";
import { backOff, checkInterrupt, detachThread, isDead, requestStop } from "../agent/tracee.ts";
import { BlockedError, CriuError, isErrno, KernelError, UnsupportedError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { PIDFD_THREAD } from "../kernel/abi/event-files.ts";
import { readProcFile } from "../kernel/procfs/reader.ts";
import { type ProcStat, readStat } from "../kernel/procfs/stat.ts";
import { readStatus } from "../kernel/procfs/status.ts";
import { countThreads, listThreadChildren, listThreads } from "../kernel/procfs/tasks.ts";
import { tracedError } from "../kinds/task/tracees.ts";
import { log } from "../log.ts";
import { closeFd } from "../sys/file.ts";
import { seizeTogether } from "../sys/host.ts";
import { compareKernel, KCMP_VM, openPidfd } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";

/** So many rounds take a millisecond. */
const DOUBTFUL_ROUNDS = 24;
/** About a quarter of a second. */
const REPEAT_ROUNDS = 256;
/** So long others stand still for a thread that waits in vfork: its child may wait for one of them. */
const VFORK_HOLD_MS = 250;
/** How long a tree runs on then. */
export const VFORK_PAUSE_MS = 50;
/** So often the log names what a dump waits for. */
export const NOTICE_MS = 1000;
/** So many children of a process are stopped at a time. */
const STOP_BATCH = 64;
const EPERM = 1;
const ESRCH = 3;
const EINVAL = 22;

/** A process that has been stopped, not looked at yet. */
export interface StoppedProcess {
	readonly pid: number;
	pidfd: number;
	/** A thread that stands in for the leader, which has ended while others live on. */
	deputy?: number | undefined;
	readonly parent: StoppedProcess | undefined;
	/** Group stop signals by thread. */
	readonly threads: Map<number, number>;
	/** Threads that were asked to stop and haven't yet. */
	readonly pending: Set<number>;
}

function describeWait(pid: number, tid: number): string {
	return `freezing: pid ${pid}: still waiting for thread ${tid} to stop: ${whyRunning(tid).why}`;
}

/** A thread waits in vfork for longer than others are to stand still for it: they're to go on for `VFORK_PAUSE_MS`. */
export class HeldByVfork extends CriuError {
	constructor(pid: number, tid: number) {
		super("HELD_BY_VFORK", describeWait(pid, tid), { remedy: "try again" });
	}
}

/** What `read` gives; `gone` when the task that it looks at isn't there any more. */
function unlessGone<T>(read: () => T, gone: T): T {
	try {
		return read();
	} catch (error) {
		if (isErrno(error, "ENOENT", "ESRCH")) return gone;
		throw error;
	}
}

const isDeadState = ({ state }: ProcStat) => state === "Z" || state === "X";
const isPlain = (stat: ProcStat | undefined) => stat !== undefined && !isDeadState(stat) && stat.numThreads === 1;
const findStat = (pid: number) => unlessGone<ProcStat | undefined>(() => readStat(pid), undefined);

/** Stops processes one by one, each with all its threads, parents first: what stands still makes no more children. */
export class TreeFreezer {
	readonly processes: StoppedProcess[] = [];
	readonly dead = new Map<number, { stat: ProcStat; parent: StoppedProcess }>();
	private readonly known = new Set<number>();
	private order: Map<number, number> | undefined;
	/** Threads by process that were seized and asked to stop before the process is. */
	private readonly ahead = new Map<number, Set<number>>();

	/** `goesOnForVfork`: the tree may be let go for a moment where a vfork takes long. */
	constructor(
		private readonly deadline: number,
		private readonly goesOnForVfork = false,
	) {}

	/** @throws HeldByVfork; CriuError FREEZE_TIMEOUT, TASK_GONE; BlockedError STOP_TIMEOUT, TRACED, DEAD_LEADER; KernelError */
	freezeAll(root: number): void {
		if (!this.stop(root, undefined))
			throw new CriuError("TASK_GONE", `task ${root} ended while it was being frozen`, {
				remedy: "nothing is left to dump; start it again",
			});
		// A child may make siblings of itself (CLONE_PARENT), and leave orphans to tasks that stand still already, until it
		// stands still or is gone as well: only a look at all that finds nobody new is the last one.
		for (let news = true; news; ) {
			news = false;
			for (let i = 0; i < this.processes.length; i++)
				if (this.stopChildren(this.processes[i] as StoppedProcess)) news = true;
		}
	}

	/**
	 * Seizes a tree that its cgroup keeps from moving; it stops once it's thawed. What doesn't let itself be seized now is left
	 * to freezeAll. `holdsStopped`: a thread in a group stop would keep us waiting until then.
	 */
	seizeAhead(root: number, holdsStopped: boolean): void {
		const pids = [root];
		for (let i = 0; i < pids.length; i++) {
			const pid = pids[i] as number;
			const tids = unlessGone(() => listThreads(pid), []);
			const free = holdsStopped ? tids.filter((tid) => !isInGroupStop(pid, tid)) : tids;
			const results = seizeFreely(pid, free, []);
			const seized = free.filter((tid) => results.get(tid) === 0 && requestStop(tid));
			if (seized.length > 0) this.ahead.set(pid, new Set(seized));
			// Who has its parent's memory may be what a vfork waits for: it has to run until its parent stands still.
			for (const tid of tids)
				pids.push(...unlessGone(() => listThreadChildren(pid, tid), []).filter((child) => !hasMemoryOf(pid, child)));
			this.checkTime(`the tree has too many processes (${i + 1} seized)`);
		}
	}

	/** True when there was a child that wasn't known yet, even if it's gone by now. */
	private stopChildren(parent: StoppedProcess): boolean {
		let news = false;
		for (const tid of parent.threads.keys()) {
			const children = unlessGone(() => listThreadChildren(parent.pid, tid), []).filter(
				(child) => !this.known.has(child),
			);
			news ||= children.length > 0;
			for (let i = 0; i < children.length; i += STOP_BATCH) this.stopBatch(parent, children.slice(i, i + STOP_BATCH));
		}
		return news;
	}

	/** Children of one parent are asked to stop before the first of them is waited for. */
	private stopBatch(parent: StoppedProcess, children: readonly number[]): void {
		const stats = children.map((child) => {
			this.checkTime(`the tree grows faster than it can be stopped (pid ${child} is its latest process)`);
			return findStat(child);
		});
		// One that waits in vfork (state D) may wait for a sibling (CLONE_PARENT), which has to run until it has stopped.
		if (children.length > 1 && stats.every((stat) => stat?.state !== "D"))
			for (const [i, child] of children.entries()) if (isPlain(stats[i])) this.askLeader(child);
		for (const [i, child] of children.entries()) {
			const stat = stats[i];
			if (stat === undefined) continue;
			// A leader is a zombie, too, when others of its threads live on.
			const runs = !isDeadState(stat) || stat.numThreads > 1;
			if (runs && this.stop(child, parent)) continue;
			const end = findStat(child);
			// A thread that executes a program takes the place of a leader that looks dead for an instant.
			if (end === undefined || !isDeadState(end) || end.numThreads > 1) continue;
			this.known.add(child);
			this.dead.set(child, { stat: end, parent });
		}
	}

	/** Seizes the only thread of a process that is stopped soon. What doesn't let itself be seized now is left to that. */
	private askLeader(pid: number): void {
		if (this.ahead.has(pid) || seizeFreely(pid, [pid], []).get(pid) !== 0) return;
		if (requestStop(pid)) this.ahead.set(pid, new Set([pid]));
	}

	private checkTime(what: string): void {
		if (performance.now() > this.deadline)
			throw new CriuError("FREEZE_TIMEOUT", what, {
				remedy: "give it longer with --timeout SECONDS, or freeze its cgroup first (--freeze-cgroup)",
			});
	}

	/** False when it has ended meanwhile. */
	private stop(pid: number, parent: StoppedProcess | undefined): boolean {
		let process: StoppedProcess;
		try {
			const pending = this.ahead.get(pid) ?? new Set();
			process = { pid, pidfd: openPidfd(pid), parent, threads: new Map(), pending };
			this.ahead.delete(pid);
		} catch (error) {
			if (isErrno(error, "ESRCH", "EINVAL")) return false;
			throw error;
		}
		this.known.add(pid);
		this.processes.push(process);
		this.stopThreads(process);
		if (process.threads.has(pid) || process.deputy !== undefined) return true;
		this.processes.pop();
		this.known.delete(pid);
		closeFd(process.pidfd);
		return false;
	}

	/**
	 * A running thread can make others: until as many stand still as there are. A list of threads isn't made at one instant,
	 * their number is.
	 */
	private stopThreads(process: StoppedProcess): void {
		const { pid, threads, pending } = process;
		for (let round = 0; ; round++) {
			const listed = unlessGone(() => listThreads(pid), []);
			const fresh = listed.filter((tid) => !threads.has(tid) && !pending.has(tid));
			seizeThreads(process, fresh, round > DOUBTFUL_ROUNDS);
			this.awaitStops(process);
			faultPoint("dump:seized");
			const count = unlessGone(() => countThreads(pid), 0);
			if (count === threads.size && this.holdsLeader(process)) return;
			if (!threads.has(pid) && count === threads.size + 1 && isDead(pid)) {
				if (threads.size === 0) return;
				// Those of a process that was killed stand still no more.
				if ([...threads.keys()].every((tid) => typeof checkInterrupt(tid) === "number")) {
					appointDeputy(process);
					return;
				}
			}
			this.checkTime(`pid ${pid} makes threads faster than they can be stopped, or doesn't get done with dying`);
			dropDead(process);
			backOff(round);
		}
	}

	/** A thread that executes a program takes the leader's place, which stood still. */
	private holdsLeader({ pid, threads }: StoppedProcess): boolean {
		if (!threads.has(pid) || typeof checkInterrupt(pid) === "number") return true;
		threads.delete(pid);
		return false;
	}

	/** Waits for all that are pending: each stands still or is gone afterwards. */
	private awaitStops(process: StoppedProcess): void {
		const { pid, threads, pending } = process;
		let nextNotice = performance.now() + NOTICE_MS;
		// Towards the deadline it's the last try.
		const holdUntil = performance.now() + VFORK_HOLD_MS;
		let mayGoOn = this.goesOnForVfork && holdUntil + VFORK_PAUSE_MS + NOTICE_MS < this.deadline;
		for (let round = 0; pending.size > 0; round++) {
			for (const tid of pending) {
				const state = checkInterrupt(tid);
				if (state === undefined) continue;
				pending.delete(tid);
				if (state !== "gone") threads.set(tid, state);
			}
			if (round % 16 === 15) {
				// One that executes a program waits until those are gone that it has ended, although they stood still.
				dropDead(process);
				// Its first thread ended by itself, which nobody is told while others live.
				if (pending.has(pid) && isDead(pid)) pending.delete(pid);
			}
			// Should a request have got lost: one too many does no harm.
			if (round % REPEAT_ROUNDS === REPEAT_ROUNDS - 1) for (const tid of pending) requestStop(tid);
			const [late] = pending;
			if (late !== undefined && performance.now() > this.deadline) throw refuse(pid, stopTimeout(late));
			if (late !== undefined && mayGoOn && performance.now() > holdUntil) {
				if (waitsInVfork(late)) throw new HeldByVfork(pid, late);
				mayGoOn = false;
			}
			if (late !== undefined && performance.now() > nextNotice) {
				nextNotice += NOTICE_MS;
				log.info(describeWait(pid, late));
			}
			if (pending.size > 0) backOff(round);
		}
	}

	/** Processes in the order in which they were found: parents first, siblings as they were born. */
	orderOf(pid: number): number {
		this.order ??= new Map([...this.known].map((one, index) => [one, index]));
		return this.order.get(pid) ?? this.known.size;
	}

	/** Lets all of it run on. All threads are tried, also when it fails for one. @throws KernelError, CriuError */
	letGo(until?: number): void {
		let failure: { error: unknown } | undefined;
		const ahead = [...this.ahead.values()].map((pending) => ({ threads: new Map<number, number>(), pending }));
		for (const { threads, pending } of [...this.processes, ...ahead]) {
			// The death of a leader isn't told before those of its threads have been passed on.
			for (const tid of [...threads.keys(), ...pending].reverse()) {
				try {
					detachThread(tid, until);
				} catch (error) {
					// One that doesn't stop at all is let go when we end; why is what the user was told already.
					const known = pending.has(tid) && error instanceof CriuError && error.code === "STOP_TIMEOUT";
					if (!known) failure ??= { error };
				}
			}
		}
		if (failure !== undefined) throw failure.error;
	}

	close(): void {
		for (const { pidfd } of this.processes) closeFd(pidfd);
	}
}

function hasMemoryOf(pid: number, child: number): boolean {
	return unlessGone(() => compareKernel(pid, child, KCMP_VM) === 0, false);
}

/** True when a thread may have been in a group stop when it was frozen: its state is hidden, but not where it waits. */
function isInGroupStop(pid: number, tid: number): boolean {
	const place = unlessGone(() => Buffer.from(readProcFile(`/proc/${pid}/task/${tid}/wchan`)).toString("latin1"), "");
	return place === "0" || place.includes("signal_stop");
}

/** Forgets threads that somebody has ended while they stood still; their ends are passed on. */
function dropDead({ threads }: StoppedProcess): void {
	for (const tid of [...threads.keys()].reverse()) if (checkInterrupt(tid) === "gone") threads.delete(tid);
}

/**
 * Seizes threads and asks them to stop: those that haven't ended are pending then. A task that ends or executes a program
 * refuses, too: only when it's `certain` that it goes on doing so it's an error.
 *
 * @throws BlockedError TRACED; KernelError
 */
function seizeThreads({ pid, threads, pending }: StoppedProcess, tids: readonly number[], certain: boolean): void {
	const others = [...threads.keys()];
	const results = seizeFreely(pid, tids, others);
	for (const tid of tids) if (results.get(tid) === 0 && requestStop(tid)) pending.add(tid);
	for (const tid of tids) {
		const errno = results.get(tid) ?? 0;
		if (errno === 0 || errno === ESRCH || (errno === EPERM && isDead(tid))) continue;
		const failure = new KernelError("ptrace", errno, `PTRACE_SEIZE of task ${tid}`);
		const tracer = errno === EPERM ? unlessGone(() => readStatus(tid).tracerPid, undefined) : 0;
		// Ours already: a thread that we had seized has executed a program and is the leader by that.
		if (tracer === process.pid && requestStop(tid)) pending.add(tid);
		else if (tracer === 0 && certain) throw failure;
		else if (tracer !== undefined && tracer !== 0 && tracer !== process.pid)
			throw refuse(pid, tracedError(pid, tracer, tid));
	}
}

/** False once the kernel has refused to suspend seccomp: it can't, or criu itself is under a filter. */
let suspendsSeccomp = true;

/** Seizes threads so that no seccomp filter keeps them from the calls that a dump asks of them. Gives errno by thread. */
function seizeFreely(pid: number, tids: readonly number[], others: readonly number[]): Map<number, number> {
	const results = new Map<number, number>();
	const seize = (wanted: readonly number[], options: number) => {
		const held = wanted === tids ? others : [...others, ...tids];
		const errors = seizeTogether(pid, wanted, held, pt.PTRACE_O_TRACESYSGOOD | options);
		for (const [i, tid] of wanted.entries()) results.set(tid, -(errors[i] ?? 0));
	};
	seize(tids, suspendsSeccomp ? pt.PTRACE_O_SUSPEND_SECCOMP : 0);
	const refused = tids.filter((tid) => [EPERM, EINVAL].includes(results.get(tid) ?? 0));
	if (!suspendsSeccomp || refused.length === 0) return results;
	seize(refused, 0);
	if (refused.some((tid) => results.get(tid) === 0)) suspendsSeccomp = false;
	return results;
}

/**
 * The first thread has ended: /proc shows the process by any other. A descriptor for that one gives access to its files.
 *
 * @throws BlockedError DEAD_LEADER when the kernel has no descriptors for threads (before 6.9)
 */
function appointDeputy(process: StoppedProcess): void {
	const { pid, threads } = process;
	const deputy = Math.min(...threads.keys());
	try {
		const pidfd = openPidfd(deputy, PIDFD_THREAD);
		closeFd(process.pidfd);
		process.pidfd = pidfd;
		process.deputy = deputy;
	} catch (error) {
		if (!isErrno(error, "EINVAL")) throw error;
		throw refuse(
			pid,
			new UnsupportedError("DEAD_LEADER", `the first thread of pid ${pid} has ended, others go on`, {
				cause: error,
				remedy: "dump before the program ends its main thread, or on Linux 6.9 or later",
			}),
		);
	}
}

const refuse = (pid: number, reason: CriuError) => new BlockedError(`pid ${pid} can't be dumped as it is`, [reason]);
