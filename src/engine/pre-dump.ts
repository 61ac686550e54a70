// SPDX-License-Identifier: GPL-2.0-only
// A pre-dump: memory is written ahead of a dump. The tasks stand still only while their pages are marked; these are copied while
// they run on. What they write meanwhile is noted, and the next dump has it.

import { infect } from "../agent/infect.ts";
import type { InjectionFacts } from "../agent/injected.ts";
import { backOff } from "../agent/tracee.ts";
import { isLeavingAgent } from "../agent/unfinished-cure.ts";
import { type CriuError, UsageError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import type { DumpedTask } from "../kinds/kind.ts";
import { listPreDumped, type PagesWritten, planPages, withoutMapped } from "../kinds/mm/mm-dump.ts";
import { hasSharedMemory } from "../kinds/task/sharing.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { Progress } from "../pages/progress.ts";
import { scanMemory } from "../pages/scan.ts";
import { openMemory, type TaskPages } from "../pages/sink.ts";
import { closeFd } from "../sys/file.ts";
import { loadHost } from "../sys/host.ts";
import { raiseFdLimit } from "../sys/limits.ts";
import { FREE_RUN, type RunControl } from "./control.ts";
import { addPages, CURE_ROUNDS, collectFacts, dumpStats, guessGadgets, NO_PAGES } from "./dump-facts.ts";
import { DumpState, expectNoServers } from "./dump-state.ts";
import { freezeTree, nameLoss } from "./freeze.ts";
import { removeOldImages, writePreDumpInventory } from "./inventory.ts";
import { MemoryRun, noTracking } from "./memory-run.ts";
import { openImages } from "./open-images.ts";
import { seeMappings } from "./seen-mappings.ts";
import { writeDumpStats } from "./stats.ts";
import { describeProcess, readTarget } from "./target.ts";
import { Timings } from "./timings.ts";
import type { DumpResult } from "./types.ts";

/** Freezes the tree at an instant when nothing of an earlier dump is left in it. */
function freeze(pid: number, options: Options, memory: MemoryRun, timings: Timings, control: RunControl) {
	const hint = guessGadgets(pid);
	const seen = seeMappings(pid, false);
	timings.lap("prepare");
	for (let round = 0; ; round++) {
		control.check();
		const frozen = freezeTree(pid, options, () => timings.lap("freeze"), seen);
		try {
			const { tasks, dead } = frozen;
			memory.attach(tasks);
			const context = new DumpState(options, undefined, tasks, dead);
			expectNoServers(tasks, context);
			const owners = tasks.filter((task) => !hasSharedMemory(task, context));
			const fresh = owners.filter((task) => memory.wants(task));
			const problems: CriuError[] = [];
			const facts = new Map(collectFacts(fresh, hint, problems).map((own) => [own.pid, own]));
			for (const problem of problems) log.warn(`not tracked, will be dumped in full: ${problem.message}`);
			const threadsOf = (task: DumpedTask) => task.threads.map(({ stopped }) => stopped);
			const isLeaving = (task: DumpedTask) => {
				const own = facts.get(task.pid);
				return own !== undefined && isLeavingAgent(own, threadsOf(task));
			};
			const leaving = fresh.filter(isLeaving);
			if (round === CURE_ROUNDS) for (const { pid } of leaving) facts.delete(pid);
			if (round === CURE_ROUNDS || leaving.length === 0) return { frozen, owners, facts, problems };
		} catch (error) {
			frozen[Symbol.dispose]();
			throw error;
		}
		frozen[Symbol.dispose]();
		backOff(20 + round);
	}
}

function adopt(task: DumpedTask, facts: InjectionFacts | undefined, memory: MemoryRun): void {
	if (facts === undefined || !memory.wants(task)) return;
	const agent = infect(facts, task.thread);
	try {
		memory.adopt(task, agent);
	} catch (error) {
		agent.undo(error);
		throw error;
	}
	agent.cure();
}

interface Prepared extends TaskPages {
	readonly counts: PagesWritten;
}

/** Marks a task's pages and decides which are copied; undefined when nobody would notice its writes. */
function prepare(task: DumpedTask, memory: MemoryRun): Prepared | undefined {
	const tracking = memory.trackingOf(task);
	if (tracking === undefined) return undefined;
	const data = withoutMapped(scanMemory(task.pid, task.vmas).data, task);
	const { plan, pages } = planPages(task, listPreDumped(task), data, tracking);
	const { entries, pieces } = plan;
	return { pid: task.pid, vpid: task.vpid, memFd: openMemory(task.pid).fd, entries, pieces, live: true, counts: pages };
}

/**
 * Writes memory of a tree that runs on.
 *
 * @throws UsageError, UnsupportedError NO_MEMORY_TRACKING, CancelledError, CriuError, KernelError, ImageError: the tree runs on
 * as before
 */
export function preDump(options: Options, control: RunControl = FREE_RUN): DumpResult {
	const { pid } = options;
	if (pid === undefined) throw new UsageError("NO_PID", "no pid was given", { remedy: "name the process with -t PID" });
	if (options.lazyPages)
		throw new UsageError("LAZY_PRE_DUMP", "--lazy-pages can't be used with pre-dump", {
			remedy: "give --lazy-pages to the dump that follows",
		});
	loadHost();
	raiseFdLimit();
	const target = readTarget(pid, options);
	const timings = new Timings();
	using progress = Progress.open(options, "pre-dump");
	using dir = openImages(options, "write", control);
	using memory = MemoryRun.open(options, dir, true);
	const prepared: Prepared[] = [];
	try {
		const { frozen: tree, owners, facts, problems } = freeze(pid, options, memory, timings, control);
		using frozen = tree;
		timings.lap("facts");
		removeOldImages(dir);
		memory.begin();
		faultPoint("pre-dump:begun");
		try {
			for (const task of owners) {
				control.check();
				adopt(task, facts.get(task.pid), memory);
				const one = prepare(task, memory);
				if (one !== undefined) prepared.push(one);
			}
		} catch (error) {
			throw nameLoss(error, owners);
		}
		if (prepared.length === 0) throw problems[0] ?? noTracking();
		faultPoint("pre-dump:marked");
		frozen.release(false);
		timings.lap("release");
		for (const { counts } of prepared) progress.expect(counts.written * 4096n);
		for (const one of prepared) {
			control.check();
			memory.sink.writeTask(one);
		}
		control.check();
		faultPoint("pre-dump:copied");
		timings.lap("memory");
		const tracker = memory.finish(true);
		faultPoint("pre-dump:tracked");
		writePreDumpInventory(dir, options.preDumpMode, tracker);
		dir.finish();
		faultPoint("pre-dump:inventory");
	} catch (error) {
		throw dir.explain(error);
	} finally {
		for (const { memFd } of prepared) closeFd(memFd);
	}
	memory.settle(dir);
	progress.succeed();
	timings.lap("images");
	log.info(`Pre-dumped ${describeProcess(target)}`);
	const counts = prepared.map((one) => one.counts).reduce(addPages, NO_PAGES);
	const stats = dumpStats(counts, timings);
	writeDumpStats(options.workDir ?? options.imagesDir, stats, timings);
	return { pid, stats };
}
