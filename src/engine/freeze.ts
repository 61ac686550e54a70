// SPDX-License-Identifier: GPL-2.0-only
// Freezing: all threads of all processes of a tree are seized, stand still, and are looked at. Whatever happens afterwards,
// letting go puts them back.

import {
	awaitInterrupt,
	detachThread,
	passOnDeath,
	readStoppedThread,
	requestStop,
	seizeThread,
} from "../agent/tracee.ts";
import { CriuError, isErrno } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { readSmaps } from "../kernel/procfs/maps.ts";
import { type ProcStat, readStat } from "../kernel/procfs/stat.ts";
import { type ProcStatus, readStatus } from "../kernel/procfs/status.ts";
import { listThreadChildren, listThreads } from "../kernel/procfs/tasks.ts";
import type { DeadTask, DumpedTask, DumpedThread } from "../kinds/kind.ts";
import { closeFd } from "../sys/file.ts";
import { openPidfd, sendSignal } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";

const SIGSTOP = 19;
const SIGKILL = 9;
const NO_TIMEOUT_MS = 10_000;

/** A tree that stands still until it is let go. */
export interface FrozenTree {
	/** Parents before their children; the first is the root. */
	readonly tasks: readonly DumpedTask[];
	/** Zombies, whose parents are among the tasks. */
	readonly dead: readonly DeadTask[];
	/** Lets it run on, or, with `stopped`, leaves it in a group stop that SIGCONT ends. */
	release(stopped: boolean): void;
	/** Ends it. */
	kill(): void;
	/** Lets it run on unless it was released or killed already. */
	[Symbol.dispose](): void;
}

/** A process that has been stopped, not looked at yet. */
interface StoppedProcess {
	readonly pid: number;
	readonly pidfd: number;
	readonly parent: StoppedProcess | undefined;
	/** Group stop signals by thread. */
	readonly threads: Map<number, number>;
}

/** A signal waits that would run a handler: a call that ended with EINTR ended for that reason. */
function hasPendingHandler(status: ProcStatus): boolean {
	return ((status.sigPnd | status.shdPnd) & ~status.sigBlk & status.sigCgt) !== 0n;
}

/** What a child is by now: undefined once it's gone. */
function findStat(pid: number): ProcStat | undefined {
	try {
		return readStat(pid);
	} catch (error) {
		if (isErrno(error, "ENOENT", "ESRCH")) return undefined;
		throw error;
	}
}

/** Stops processes one by one, each with all its threads, parents first: what stands still makes no more children. */
class TreeFreezer {
	readonly processes: StoppedProcess[] = [];
	readonly dead = new Map<number, { stat: ProcStat; parent: StoppedProcess }>();
	private readonly known = new Set<number>();

	constructor(private readonly deadline: number) {}

	freezeAll(root: number): void {
		this.stop(root, undefined);
		// A child may make siblings of itself (CLONE_PARENT), and adopt orphans, until it stands still as well.
		for (let before = -1; before !== this.known.size; ) {
			before = this.known.size;
			for (let i = 0; i < this.processes.length; i++) this.stopChildren(this.processes[i] as StoppedProcess);
		}
	}

	private stopChildren(parent: StoppedProcess): void {
		for (const tid of parent.threads.keys())
			for (const child of listThreadChildren(parent.pid, tid)) {
				if (this.known.has(child)) continue;
				this.checkTime(child);
				const stat = findStat(child);
				if (stat === undefined) continue;
				if (stat.state !== "Z" && stat.state !== "X" && this.stop(child, parent)) continue;
				const end = findStat(child);
				if (end === undefined) continue;
				this.known.add(child);
				this.dead.set(child, { stat: end, parent });
			}
	}

	private checkTime(pid: number): void {
		if (performance.now() > this.deadline)
			throw new CriuError(
				"FREEZE_TIMEOUT",
				`the tree grows faster than it can be stopped (${pid} is its latest process)`,
				{
					remedy: "give it longer with --timeout SECONDS, or freeze its cgroup first (--freeze-cgroup)",
				},
			);
	}

	/** False when it has ended meanwhile; for the root that's an error. */
	private stop(pid: number, parent: StoppedProcess | undefined): boolean {
		let process: StoppedProcess;
		try {
			process = { pid, pidfd: openPidfd(pid), parent, threads: new Map() };
		} catch (error) {
			if (parent !== undefined && isErrno(error, "ESRCH", "EINVAL")) return false;
			throw error;
		}
		this.known.add(pid);
		this.processes.push(process);
		try {
			this.stopThreads(process);
		} catch (error) {
			if (parent === undefined || !(error instanceof CriuError) || !["NO_SUCH_TASK", "TASK_GONE"].includes(error.code))
				throw error;
		}
		if (process.threads.has(pid)) return true;
		if (parent === undefined)
			throw new CriuError("TASK_GONE", `task ${pid} ended while it was being frozen`, {
				remedy: "nothing is left to dump; start it again",
			});
		this.processes.pop();
		this.known.delete(pid);
		closeFd(process.pidfd);
		return false;
	}

	/** A running thread can make others: until all that are there stand still. */
	private stopThreads(process: StoppedProcess): void {
		const { pid, threads } = process;
		for (;;) {
			const fresh = listThreads(pid).filter((tid) => !threads.has(tid));
			if (fresh.length === 0) return;
			this.checkTime(pid);
			const seized = fresh.filter((tid) => this.seize(pid, tid));
			for (const tid of seized) {
				const groupStop = awaitInterrupt(tid, this.deadline);
				if (groupStop === undefined) passOnDeath(tid);
				else threads.set(tid, groupStop);
			}
			faultPoint("dump:seized");
			if (seized.length === 0 && !threads.has(pid)) return;
			if (seized.length === 0 && fresh.every((tid) => isGone(pid, tid))) return;
		}
	}

	/** False when the thread has ended. A dead leader stays visible as long as other threads live. */
	private seize(pid: number, tid: number): boolean {
		try {
			seizeFreely(tid);
			return requestStop(tid);
		} catch (error) {
			if (tid !== pid && error instanceof CriuError && error.code === "NO_SUCH_TASK") return false;
			if (isErrno(error, "EPERM") && readStat(pid).state === "Z") throw zombieLeader(pid);
			throw error;
		}
	}

	letGo(until?: number): void {
		for (const { threads } of this.processes) for (const tid of threads.keys()) detachThread(tid, until);
	}

	close(): void {
		for (const { pidfd } of this.processes) closeFd(pidfd);
	}
}

/** False once the kernel has refused to suspend seccomp: it can't, or criu itself is under a filter. */
let suspendsSeccomp = true;

/** Seizes a thread so that no seccomp filter keeps it from the calls that a dump asks of it. */
function seizeFreely(tid: number): void {
	if (suspendsSeccomp) {
		try {
			seizeThread(tid, pt.PTRACE_O_SUSPEND_SECCOMP);
			return;
		} catch (error) {
			if (!isErrno(error, "EPERM", "EINVAL")) throw error;
		}
	}
	seizeThread(tid, 0);
	suspendsSeccomp = false;
}

function zombieLeader(pid: number): CriuError {
	return new CriuError("ZOMBIE_LEADER", `the first thread of pid ${pid} has ended, others go on`, {
		remedy: "dump before the program ends its main thread; such a process can't be built anew",
	});
}

function isGone(pid: number, tid: number): boolean {
	try {
		const { state } = readStat(pid, undefined, tid);
		return state === "Z" || state === "X";
	} catch (error) {
		if (isErrno(error, "ENOENT", "ESRCH")) return true;
		throw error;
	}
}

const lastOf = (ids: readonly number[], otherwise: number) => ids[ids.length - 1] ?? otherwise;

function lookAtThread(task: DumpedTask, tid: number, groupStop: number): DumpedThread {
	const status = tid === task.pid ? task.status : readStatus(task.pid, undefined, tid);
	return {
		task,
		tid,
		vtid: lastOf(status.nsPid, tid),
		isLeader: tid === task.pid,
		stopped:
			tid === task.pid ? task.thread : readStoppedThread(tid, groupStop, hasPendingHandler(status), status.seccomp),
		status,
	};
}

/** Reads all that can be seen of a stopped process from outside. */
function look(process: StoppedProcess, byPid: ReadonlyMap<number, DumpedTask>): DumpedTask {
	const { pid, pidfd, parent, threads } = process;
	const status = readStatus(pid);
	const groupStop = threads.get(pid) ?? 0;
	const list: DumpedThread[] = [];
	const task: DumpedTask = {
		pid,
		vpid: lastOf(status.nsTgid, pid),
		isRoot: parent === undefined,
		parent: parent === undefined ? undefined : byPid.get(parent.pid),
		pidfd,
		stat: readStat(pid),
		status,
		vmas: readSmaps(pid),
		thread: readStoppedThread(pid, groupStop, hasPendingHandler(status), status.seccomp),
		threads: list,
	};
	list.push(lookAtThread(task, pid, groupStop));
	for (const [tid, stop] of threads) if (tid !== pid) list.push(lookAtThread(task, tid, stop));
	list.sort((a, b) => (a.isLeader ? -1 : b.isLeader ? 1 : a.tid - b.tid));
	return task;
}

function describeDead(freezer: TreeFreezer, byPid: ReadonlyMap<number, DumpedTask>): DeadTask[] {
	return [...freezer.dead].flatMap(([pid, { stat, parent }]) => {
		const task = byPid.get(parent.pid);
		const status = readStatus(pid);
		return task === undefined ? [] : [{ pid, vpid: lastOf(status.nsTgid, pid), parent: task, stat, status }];
	});
}

/**
 * Seizes a tree and reads all that can be seen of it from outside. `onStop` is called when all of it stands still.
 *
 * @throws CriuError NO_SUCH_TASK, STOP_TIMEOUT, FREEZE_TIMEOUT, TASK_GONE, ZOMBIE_LEADER, COMPAT_TASK; KernelError EPERM
 */
export function freezeTree(root: number, timeoutSec: number, onStop: () => void = () => {}): FrozenTree {
	const deadline = performance.now() + (timeoutSec > 0 ? timeoutSec * 1000 : NO_TIMEOUT_MS);
	const freezer = new TreeFreezer(deadline);
	let attached = true;
	const letGo = (until?: number) => {
		if (!attached) return;
		attached = false;
		freezer.letGo(until);
		freezer.close();
	};
	try {
		freezer.freezeAll(root);
		onStop();
		const byPid = new Map<number, DumpedTask>();
		for (const process of freezer.processes) byPid.set(process.pid, look(process, byPid));
		const tasks = [...byPid.values()];
		return {
			tasks,
			dead: describeDead(freezer, byPid),
			release(stopped) {
				for (const { pid, thread } of tasks) if (stopped && thread.groupStop === 0) sendSignal(pid, SIGSTOP);
				letGo();
			},
			kill() {
				attached = false;
				for (const { pid } of tasks) sendSignal(pid, SIGKILL);
				// Only then can their parents reap them: the pids are free as soon as those have. Threads end before leaders.
				for (const { threads, stat } of [...tasks].reverse())
					for (const { tid, isLeader } of [...threads].reverse())
						passOnDeath(tid, isLeader && stat.ppid === process.pid);
				freezer.close();
			},
			[Symbol.dispose]: () => letGo(),
		};
	} catch (error) {
		try {
			// All of the time may be used up by now; one that still doesn't stop is let go when we end.
			letGo(deadline);
		} catch (undo) {
			if (error instanceof CriuError) error.undo.push(undo);
		}
		throw error;
	}
}
