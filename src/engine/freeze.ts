// SPDX-License-Identifier: GPL-2.0-only
// Freezing: all threads of all processes of a tree are seized, stand still, and are looked at. Whatever happens afterwards,
// letting go puts them back.

import { backOff, isDead, passOnDeath, readStoppedThread } from "../agent/tracee.ts";
import { BlockedError, CriuError, isErrno } from "../errors.ts";
import { type ProcStat, readStat } from "../kernel/procfs/stat.ts";
import { type ProcStatus, readStatus } from "../kernel/procfs/status.ts";
import type { DeadTask, DumpedTask, DumpedThread } from "../kinds/kind.ts";
import { foldMapped } from "../kinds/mm/mapped.ts";
import { log } from "../log.ts";
import { type Options, stopTimeoutSec } from "../options.ts";
import { sendSignal } from "../sys/process.ts";
import { FreezerCgroup } from "./freeze-cgroup.ts";
import { NOTHING_SEEN, readMappings, type SeenMappings } from "./seen-mappings.ts";
import { HeldByVfork, NOTICE_MS, type StoppedProcess, TreeFreezer, VFORK_PAUSE_MS } from "./stop-tree.ts";

const SIGSTOP = 19;
const SIGKILL = 9;
const DYING_MS = 1000;

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

/** A signal waits that would run a handler: a call that ended with EINTR ended for that reason. */
function hasPendingHandler(status: ProcStatus): boolean {
	return ((status.sigPnd | status.shdPnd) & ~status.sigBlk & status.sigCgt) !== 0n;
}

const lastOf = (ids: readonly number[], otherwise: number) => ids[ids.length - 1] ?? otherwise;

function lookAtThread(task: DumpedTask, tid: number, groupStop: number): DumpedThread {
	const status = tid === task.pid && task.leaderExit === undefined ? task.status : readStatus(task.pid, undefined, tid);
	return {
		task,
		tid,
		vtid: lastOf(status.nsPid, tid),
		isLeader: tid === task.pid && task.leaderExit === undefined,
		stopped:
			tid === task.pid ? task.thread : readStoppedThread(tid, groupStop, hasPendingHandler(status), status.seccomp),
		status,
	};
}

/** A thread whose seccomp filter forbids to go on with its call as the kernel would, but that isn't looked at, is cared for. */
function mendRestarts({ pid, threads }: StoppedProcess): void {
	for (const [tid, groupStop] of threads) {
		try {
			const status = readStatus(pid, undefined, tid);
			if ((status.seccomp ?? 0) !== 0) readStoppedThread(tid, groupStop, hasPendingHandler(status), status.seccomp);
		} catch (error) {
			if (!isErrno(error, "ENOENT", "ESRCH")) throw error;
		}
	}
}

/** What is left of a thread group's leader that has ended. */
function lookAtDeadLeader(pid: number): { stat: ProcStat; status: ProcStatus; exit: number } {
	const stat = readStat(pid);
	// In a group stop the kernel tells the signal of that instead.
	return { stat, status: readStatus(pid), exit: (stat.exitCode & 0xff) === 0 ? stat.exitCode : 0 };
}

/** Reads all that can be seen of a stopped process from outside. */
function look(
	process: StoppedProcess,
	order: number,
	byPid: ReadonlyMap<number, DumpedTask>,
	seen: SeenMappings,
): DumpedTask {
	const { pidfd, parent, threads, deputy } = process;
	const pid = deputy ?? process.pid;
	const status = readStatus(pid);
	const groupStop = threads.get(pid) ?? 0;
	const list: DumpedThread[] = [];
	const leader = deputy === undefined ? undefined : lookAtDeadLeader(process.pid);
	const task: DumpedTask = {
		pid,
		vpid: lastOf(status.nsTgid, pid),
		isRoot: parent === undefined,
		parent: parent === undefined ? undefined : byPid.get(parent.pid),
		order,
		leaderExit: leader?.exit,
		pidfd,
		stat: leader === undefined ? readStat(pid) : { ...readStat(pid), exitSignal: leader.stat.exitSignal },
		status: leader === undefined ? status : { ...status, name: leader.status.name },
		...foldMapped(pid, readMappings(pid, seen)),
		thread: readStoppedThread(pid, groupStop, hasPendingHandler(status), status.seccomp),
		threads: list,
	};
	if (leader !== undefined)
		// Registers and the like are the deputy's: there must be some.
		list.push({ task, tid: pid, vtid: task.vpid, isLeader: true, stopped: task.thread, status: leader.status });
	for (const [tid, stop] of threads) list.push(lookAtThread(task, tid, stop));
	// Its parent was killed, or its number is another process's by now.
	if (parent !== undefined && task.stat.ppid !== parent.pid)
		throw new CriuError("TASK_GONE", `pid ${pid} isn't a child of pid ${parent.pid} any more`, { remedy: "try again" });
	list.sort((a, b) => (a.isLeader ? -1 : b.isLeader ? 1 : a.tid - b.tid));
	return task;
}

function describeDead(freezer: TreeFreezer, byPid: ReadonlyMap<number, DumpedTask>): DeadTask[] {
	return [...freezer.dead].flatMap(([pid, { stat, parent }]) => {
		const task = byPid.get(parent.pid);
		const status = readStatus(pid);
		return task === undefined
			? []
			: [{ pid, vpid: lastOf(status.nsTgid, pid), parent: task, order: freezer.orderOf(pid), stat, status }];
	});
}

/** What fails because a task was killed, or ended, meanwhile gets that said. */
export function nameLoss(error: unknown, tasks: readonly { pid: number }[]): unknown {
	if (error instanceof BlockedError || (error instanceof CriuError && error.code === "TASK_GONE")) return error;
	let lost = tasks.find(({ pid }) => isDead(pid));
	// One that was killed leaves its stop at once and is dead a little later.
	const until = performance.now() + (isErrno(error, "ESRCH") ? DYING_MS : 0);
	for (let round = 0; lost === undefined && performance.now() < until; round++) {
		backOff(round);
		lost = tasks.find(({ pid }) => isDead(pid));
	}
	if (lost === undefined) return error;
	// During a snapshot tasks run, and may have come to their end.
	if (error instanceof CriuError && error.code === "SNAPSHOT_LOST")
		return new CriuError("TASK_GONE", `pid ${lost.pid} ended before all of its memory was copied`, {
			cause: error,
			...(error.remedy === undefined ? {} : { remedy: error.remedy }),
		});
	return new CriuError("TASK_GONE", `pid ${lost.pid} was ended by somebody else while it was being dumped`, {
		cause: error,
		remedy: "look who killed it (dmesg, the out-of-memory killer)",
	});
}

/** Freezes the cgroup for as long as it takes to seize what's in it. */
function seizeFrozen(freezer: TreeFreezer, root: number, cgroup: FreezerCgroup): void {
	try {
		cgroup.freeze();
		freezer.seizeAhead(root, cgroup.holdsStopped);
	} finally {
		cgroup.thaw();
	}
}

/** How a tree is frozen: seconds, 0 for a default; a cgroup that helps. */
export type FreezeOptions = Pick<Options, "timeoutSec" | "freezeCgroup">;

/**
 * Seizes a tree and reads all that can be seen of it from outside. `onStop` is called when all of it stands still. What was
 * `seen` of mappings before is made use of.
 *
 * @throws UsageError FREEZE_CGROUP; CriuError FREEZE_TIMEOUT, FREEZE_CGROUP, TASK_GONE; BlockedError STOP_TIMEOUT, TRACED, DEAD_LEADER; KernelError
 */
export function freezeTree(
	root: number,
	options: FreezeOptions,
	onStop: () => void = () => {},
	seen: SeenMappings = NOTHING_SEEN,
): FrozenTree {
	const { freezeCgroup } = options;
	const deadline = performance.now() + stopTimeoutSec(options) * 1000;
	let nextNotice = performance.now() + NOTICE_MS;
	for (;;) {
		try {
			return freezeOnce(root, freezeCgroup, deadline, onStop, seen);
		} catch (error) {
			if (!(error instanceof HeldByVfork)) throw error;
			if (performance.now() > nextNotice) {
				nextNotice += NOTICE_MS;
				log.info(error.message);
			}
		}
		Bun.sleepSync(VFORK_PAUSE_MS);
	}
}

function freezeOnce(
	root: number,
	freezeCgroup: string | undefined,
	deadline: number,
	onStop: () => void,
	seen: SeenMappings,
): FrozenTree {
	const cgroup = freezeCgroup === undefined ? undefined : FreezerCgroup.open(freezeCgroup, deadline);
	const freezer = new TreeFreezer(deadline, freezeCgroup === undefined);
	let attached = true;
	const letGo = (until?: number) => {
		if (!attached) return;
		attached = false;
		try {
			// While all stand still: not an instruction more than they were to make. What doesn't yet never would then.
			if (until === undefined) cgroup?.restore();
			freezer.letGo(until);
		} finally {
			cgroup?.close();
			freezer.close();
		}
	};
	try {
		if (cgroup !== undefined) seizeFrozen(freezer, root, cgroup);
		freezer.freezeAll(root);
		onStop();
		const byPid = new Map<number, DumpedTask>();
		for (const process of freezer.processes)
			byPid.set(process.pid, look(process, freezer.orderOf(process.pid), byPid, seen));
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
				cgroup?.close();
			},
			[Symbol.dispose]: () => letGo(),
		};
	} catch (failure) {
		const isHeld = failure instanceof HeldByVfork;
		const error = nameLoss(
			failure,
			freezer.processes.map(({ pid, deputy }) => ({ pid: deputy ?? pid })),
		);
		const undo = (step: () => void) => {
			try {
				step();
			} catch (failed) {
				if (error instanceof CriuError) error.undo.push(failed);
			}
		};
		for (const process of freezer.processes) undo(() => mendRestarts(process));
		// All of the time may be used up by now; one that still doesn't stop is let go when we end.
		undo(() => letGo(isHeld ? performance.now() : deadline));
		throw isHeld ? failure : error;
	}
}
