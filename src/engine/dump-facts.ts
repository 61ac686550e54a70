// SPDX-License-Identifier: GPL-2.0-only
// What dump and pre-dump look up alike: how the agent gets into tasks, what was done with pages.

import { checkThreadRoom } from "../agent/ask-threads.ts";
import { findGadgets, type Gadgets, holdsGadgets, looksLikeIa32 } from "../agent/gadgets.ts";
import { collectInjectionFacts, type InjectionFacts } from "../agent/injected.ts";
import { isIa32 } from "../agent/registers.x86_64.ts";
import { isLeavingAgent } from "../agent/unfinished-cure.ts";
import { CriuError, isErrno, KernelError, UnsupportedError } from "../errors.ts";
import { readExecutableMaps } from "../kernel/procfs/maps.ts";
import { readSysctl } from "../kernel/procfs/sysctl.ts";
import type { DumpedTask } from "../kinds/kind.ts";
import type { PagesWritten } from "../kinds/mm/mm-dump.ts";
import { findCodeBlockers } from "../kinds/task/registers.ia32.ts";
import { isDispatched } from "../sys/ptrace.ts";
import type { Timings } from "./timings.ts";
import type { DumpStats } from "./types.ts";

/** @throws UnsupportedError SYSCALL_DISPATCH */
function refuseDispatched({ threads }: DumpedTask): void {
	for (const { tid } of threads)
		if (isDispatched(tid))
			throw new UnsupportedError(
				"SYSCALL_DISPATCH",
				`task ${tid} has its system calls handed back to it (PR_SET_SYSCALL_USER_DISPATCH): one that criu asks of it would be its end`,
				{ remedy: "let the program turn that off first" },
			);
}

/** Mappings that are few by any setting of vm.max_map_count. */
const FEW_MAPPINGS = 1024;

/** The kernel maps nothing into a process with more than vm.max_map_count. Source: mm/mmap.c. @throws UnsupportedError MAP_COUNT */
function refuseFull({ pid, vmas }: DumpedTask): void {
	if (vmas.length <= FEW_MAPPINGS) return;
	const most = readSysctl("vm/max_map_count");
	// The page for vsyscalls doesn't count.
	const count = vmas.filter(({ start }) => start < 1n << 63n).length;
	if (count > most)
		throw new UnsupportedError("MAP_COUNT", `pid ${pid} has ${count} mappings, which leaves no room for criu's`, {
			remedy: `raise the limit for a moment: sysctl vm.max_map_count=${count + 1} or more (it's ${most})`,
		});
}

/** A 32-bit task that is refused only because threads of it are still in the agent of an earlier dump, which is 64-bit code. */
function findLeaving32({ pid, vmas, stat, threads }: DumpedTask): InjectionFacts[] {
	if (!looksLikeIa32(vmas)) return [];
	const facts = collectInjectionFacts(pid, vmas, stat.startStack, true);
	const stopped = threads.map((thread) => thread.stopped);
	return isLeavingAgent(facts, stopped) ? [facts] : [];
}

/** What injection needs for each task; the reasons of those that can't have the agent in them go to `blockers`. */
export function collectFacts(
	tasks: readonly DumpedTask[],
	hint: Gadgets | undefined,
	blockers: CriuError[],
): InjectionFacts[] {
	const facts: InjectionFacts[] = [];
	// A forked child has the same code at the same place as its parent.
	const hints = hint === undefined ? [] : [hint];
	for (const task of tasks) {
		const { pid, vmas, stat } = task;
		try {
			refuseDispatched(task);
			refuseFull(task);
			const refused = findCodeBlockers(task);
			if (refused.length > 0) {
				blockers.push(...refused);
				facts.push(...findLeaving32(task));
				continue;
			}
			const is32 = isIa32(task.thread.regs);
			const fitting = hints.find((gadgets) => gadgets.isIa32 === is32 && holdsGadgets(pid, vmas, gadgets));
			const collected = collectInjectionFacts(pid, vmas, stat.startStack, is32, fitting);
			const others = task.threads.filter(({ tid }) => tid !== pid).map(({ stopped }) => stopped);
			if (is32) checkThreadRoom(collected, task.thread, others);
			if (fitting === undefined) hints.push(collected.gadgets);
			facts.push(collected);
		} catch (error) {
			if (!(error instanceof CriuError) || isErrno(error, "ESRCH")) throw error;
			blockers.push(error);
		}
	}
	return facts;
}

/** Where code lies that injection needs, looked up before the stop. It runs meanwhile: what isn't there any more tells nothing. */
export function guessGadgets(pid: number): Gadgets | undefined {
	try {
		const vmas = readExecutableMaps(pid);
		return findGadgets(pid, vmas, looksLikeIa32(vmas));
	} catch (error) {
		if (error instanceof KernelError) return undefined;
		throw error;
	}
}

/** How often a tree is let go on because a thread of it is still leaving the agent of a dump that was killed. */
export const CURE_ROUNDS = 40;

/** About how many bytes of memory a dump of tasks moves. */
export function guessBytes(tasks: readonly DumpedTask[]): bigint {
	let kib = 0;
	const shared = new Set<bigint>();
	for (const { vmas } of tasks)
		for (const vma of vmas) {
			if (!vma.shared) kib += vma.anonymousKb + vma.swapKb;
			else if (!shared.has(vma.ino)) kib += vma.rssKb;
			if (vma.shared) shared.add(vma.ino);
		}
	return BigInt(kib) * 1024n;
}

export const NO_PAGES: PagesWritten = {
	scanned: 0n,
	written: 0n,
	skipped: 0n,
	lazy: 0n,
	sharedScanned: 0n,
	sharedWritten: 0n,
};

/** Sums up what was done for several tasks. */
export function addPages(a: PagesWritten, b: PagesWritten): PagesWritten {
	return {
		scanned: a.scanned + b.scanned,
		written: a.written + b.written,
		skipped: a.skipped + b.skipped,
		lazy: a.lazy + b.lazy,
		sharedScanned: a.sharedScanned + b.sharedScanned,
		sharedWritten: a.sharedWritten + b.sharedWritten,
	};
}

/** The figures of a dump whose stages have these names; `held`: microseconds that the tree stood still before. */
export function dumpStats(pages: PagesWritten, timings: Timings, held = 0): DumpStats {
	return {
		freezingTime: timings.between("freeze", "freeze"),
		frozenTime: held + timings.between("facts", "release"),
		memdumpTime: timings.between("memory", "memory"),
		memwriteTime: timings.between("memory", "memory"),
		irmapResolve: 0,
		pagesScanned: pages.scanned,
		pagesSkippedParent: pages.skipped,
		pagesWritten: pages.written,
		pagesLazy: pages.lazy,
		sharedPagesScanned: pages.sharedScanned,
		sharedPagesWritten: pages.sharedWritten,
	};
}
