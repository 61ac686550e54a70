// SPDX-License-Identifier: GPL-2.0-only
// The first part of a snapshot: the tree stands still for a moment, in which agents make what notes the writes of its large tasks;
// then their memory is copied while they run, so that little is left to be done when they stand still for the dump.

import { infect } from "../agent/infect.ts";
import type { InjectionFacts } from "../agent/injected.ts";
import { CriuError, isErrno } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { CAP_SYS_PTRACE } from "../kernel/abi/capability.ts";
import { O_DIRECT } from "../kernel/abi/fcntl.ts";
import { UFFD_USER_MODE_ONLY } from "../kernel/abi/userfaultfd.ts";
import { readFdinfo } from "../kernel/procfs/fdinfo.ts";
import type { SmapsFacts } from "../kernel/procfs/smaps.ts";
import { type ProcStatus, readStatus } from "../kernel/procfs/status.ts";
import { listFds } from "../kernel/procfs/tasks.ts";
import type { DumpedTask } from "../kinds/kind.ts";
import { isRing } from "../kinds/mm/vma.ts";
import { hasSharedMemory } from "../kinds/task/sharing.ts";
import { log } from "../log.ts";
import { AheadCopy } from "../pages/ahead.ts";
import type { Progress } from "../pages/progress.ts";
import type { Snapshot } from "../pages/snapshot.ts";
import { enableTracking } from "../pages/tracking.ts";
import { Urgency } from "../sys/urgency.ts";
import { closeAllCopies, freezeAndLook, type LookSetting } from "./look.ts";
import { borrowUserfault } from "./memory-run.ts";
import { seeMappings } from "./seen-mappings.ts";
import { isProtectable, listProtectable } from "./snapshot.ts";
import { Timings } from "./timings.ts";

/** Less memory of ordinary pages, in KiB, is protected sooner than the tree is stopped once more. */
const WORTH_KB = 32 << 10;
/** Noting a write splits a huge page; memory that has more of them, in KiB, is protected instead where that's possible: it's quick. */
const MAX_HUGE_KB = 8 << 10;

/** True for a program whose writes can be kept waiting for a copy: userfaultfd(2) refuses to do that to those without privileges. */
const canWait = ({ capEff }: ProcStatus) => (capEff & (1n << BigInt(CAP_SYS_PTRACE))) !== 0n;

/** True for a task whose memory is better copied ahead than protected. */
function isWorth(vmas: readonly SmapsFacts[], status: ProcStatus): boolean {
	let small = 0;
	let huge = 0;
	for (const vma of vmas) {
		// What the kernel writes by itself isn't noted where it began before.
		if (isRing(vma)) return false;
		if (!isProtectable(vma)) continue;
		small += vma.rssKb - vma.anonHugePagesKb;
		huge += vma.anonHugePagesKb;
	}
	return canWait(status) ? small >= WORTH_KB && huge <= MAX_HUGE_KB : small + huge >= WORTH_KB;
}

/** The same while it runs. */
function seemsWorth(pid: number, vmas: readonly SmapsFacts[]): boolean {
	try {
		return isWorth(vmas, readStatus(pid));
	} catch (error) {
		if (isErrno(error, "ENOENT", "ESRCH")) return false;
		throw error;
	}
}

/** True when a program has files open whose reads bypass the page cache: one that began before writes were noted would be missed. */
function readsDirectly(pid: number): boolean {
	return listFds(pid).some((fd) => {
		try {
			return (readFdinfo(pid, fd).flags & O_DIRECT) !== 0;
		} catch (error) {
			if (isErrno(error, "ENOENT")) return false;
			throw error;
		}
	});
}

/** Has the agent make a userfaultfd of a task. */
function borrow(task: DumpedTask, facts: InjectionFacts): number | undefined {
	const agent = infect(facts, task.thread);
	let uffd: number | undefined;
	try {
		// As for tracking: the kernel notes writes by itself, its own included.
		uffd = borrowUserfault(task, agent, enableTracking, UFFD_USER_MODE_ONLY);
	} catch (error) {
		// On an old kernel memory can be protected at least.
		if (!(error instanceof CriuError) || error.code !== "NO_MEMORY_TRACKING") {
			agent.undo(error);
			throw error;
		}
	}
	agent.cure();
	return uffd;
}

interface Chosen {
	readonly copy: AheadCopy;
	readonly mappings: readonly SmapsFacts[];
	/** There's another way. */
	readonly canWait: boolean;
}

/** Stops the tree for as long as it takes to make the userfaultfds of its large tasks. */
function hold(snapshot: Snapshot, setting: LookSetting): Chosen[] {
	using urgency = new Urgency();
	urgency.begin();
	const look = freezeAndLook(setting);
	using frozen = look.frozen;
	const { context, blockers, facts } = look;
	try {
		// The dump itself will tell.
		if (blockers.length > 0) return [];
		return frozen.tasks.flatMap((task, i) => {
			const own = facts[i];
			if (own === undefined || !isWorth(task.vmas, task.status) || hasSharedMemory(task, context)) return [];
			const mappings = listProtectable(task);
			const uffd = borrow(task, own);
			if (uffd === undefined) return [];
			const copy = AheadCopy.open(task.pid, task.stat.starttime, uffd, setting.dir.descriptor);
			if (copy === undefined) return [];
			snapshot.goOn(copy);
			return [{ copy, mappings, canWait: canWait(task.status) }];
		});
	} finally {
		closeAllCopies(frozen.tasks, context);
	}
}

/** Copies the memory of a task that runs; false when that's of no use. */
function copyTask({ copy, mappings, canWait: hasChoice }: Chosen, progress: Progress): boolean {
	try {
		copy.arm(mappings);
		if (readsDirectly(copy.pid)) return false;
		progress.expect(copy.bytes);
		const isSettled = copy.copy();
		if (isSettled) log.info(`memory of pid ${copy.pid} has been copied ahead`);
		else log.info(`pid ${copy.pid} writes too much for its memory to be copied ahead`);
		return isSettled || !hasChoice;
	} catch (error) {
		// It has ended meanwhile.
		if (!isErrno(error, "ESRCH", "ENOENT")) throw error;
	}
	return false;
}

/**
 * Copies memory of a tree ahead of its snapshot, as far as that pays. Gives for how many microseconds the tree stood still.
 *
 * @throws CriuError, KernelError: the tree runs on as before
 */
export function copyAhead(snapshot: Snapshot, setting: LookSetting, progress: Progress): number {
	const { timings } = setting;
	const seen = seeMappings(setting.pid, true);
	if (![...seen.byPid].some(([pid, vmas]) => seemsWorth(pid, vmas))) return 0;
	timings.lap("choose");
	const own = new Timings();
	const chosen = hold(snapshot, { ...setting, timings: own, see: () => seen });
	own.lap("hold");
	const held = own.between("facts", "hold");
	timings.lap("hold");
	faultPoint("snapshot:held");
	for (const one of chosen) {
		setting.control.check();
		if (!copyTask(one, progress)) snapshot.forget(one.copy);
	}
	timings.lap("ahead");
	faultPoint("snapshot:ahead");
	return held;
}
