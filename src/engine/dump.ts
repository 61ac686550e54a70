// SPDX-License-Identifier: GPL-2.0-only
// A dump, stage by stage: look, freeze, refuse or go on, ask, copy, write, let go. Knows no resource: kinds do.

import type { InjectedAgent } from "../agent/injected.ts";
import { BlockedError, BugError, CriuError, UsageError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { type ImageDir, KINDS } from "../images/index.ts";
import type { DeadTask, DumpedTask } from "../kinds/kind.ts";
import type { PagesWritten } from "../kinds/mm/mm-dump.ts";
import { writeSegments } from "../kinds/mm/shared-memory.ts";
import { writeSysvSegments } from "../kinds/mm/sysv-dump.ts";
import { hasMetUprobes } from "../kinds/mm/uprobes.ts";
import { timeImageId } from "../kinds/ns/time.ts";
import { TASK_KINDS } from "../kinds/registry.ts";
import { encodeDead } from "../kinds/task/dead.ts";
import { encodeSeccomp } from "../kinds/task/seccomp.ts";
import { hasSharedMemory } from "../kinds/task/sharing.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { Progress } from "../pages/progress.ts";
import type { Snapshot } from "../pages/snapshot.ts";
import { loadHost } from "../sys/host.ts";
import { raiseFdLimit } from "../sys/limits.ts";
import { Urgency } from "../sys/urgency.ts";
import { type CollectedTask, collectTasks } from "./collect.ts";
import { FREE_RUN, type RunControl } from "./control.ts";
import { copyAhead } from "./copy-ahead.ts";
import { writeCpuinfo } from "./cpuinfo.x86_64.ts";
import { collectFacts, dumpStats, guessGadgets } from "./dump-facts.ts";
import { collectIdentity, copyMemory } from "./dump-memory.ts";
import { DumpState, encodePstree, findBlockers } from "./dump-state.ts";
import { freezeTree, nameLoss } from "./freeze.ts";
import { removeOldImages, writeInventory } from "./inventory.ts";
import { LazyGive } from "./lazy-give.ts";
import { closeAllCopies, freezeAndLook, type Look, type LookSetting, watchLooks } from "./look.ts";
import { hideTrackers, MemoryRun } from "./memory-run.ts";
import { checkZstdOptions, openImages } from "./open-images.ts";
import { findRefusals } from "./passing.ts";
import { rehearse } from "./rehearse.ts";
import { NOTHING_SEEN, seeMappings } from "./seen-mappings.ts";
import { adoptForSnapshot, checkMappings, checkSnapshotOptions, goOnFromAhead, openSnapshot } from "./snapshot.ts";
import { writeDumpStats } from "./stats.ts";
import { describeProcess, readTarget } from "./target.ts";
import { Timings } from "./timings.ts";
import type { DumpResult } from "./types.ts";

/** Parents come before their children, siblings in the order of their birth. */
function writeTree(collected: readonly CollectedTask[], dead: readonly DeadTask[], dir: ImageDir): void {
	const entries = [
		...collected.map(({ task }) => ({ task, threads: task.threads.map(({ vtid }) => vtid) })),
		...dead.map((task) => ({ task, threads: [0] })),
	];
	entries.sort((a, b) => a.task.order - b.task.order);
	dir.writeEntries(
		KINDS.PSTREE,
		undefined,
		entries.map(({ task, threads }) => encodePstree(task, threads)),
	);
}

/**
 * Writes everything but the pages, which are there already. The tasks aren't looked at any more. The inventory comes last: it
 * says that the rest is whole.
 */
function writeImages(
	collected: readonly CollectedTask[],
	dead: readonly DeadTask[],
	context: DumpState,
	dir: ImageDir,
	identity: ReturnType<typeof collectIdentity>,
	memory: MemoryRun,
	snapshot: Snapshot | undefined,
): void {
	const { rootIds, ids, clocks } = identity;
	const tables = new Set<number>();
	for (const [index, { task, draft, threads }] of collected.entries()) {
		const own = ids[index];
		if (own === undefined) throw new BugError(`pid ${task.pid} has no ids`);
		dir.writeEntry(KINDS.CORE, task.vpid, draft.core);
		for (const { vtid, core } of threads) dir.writeEntry(KINDS.CORE, vtid, core);
		dir.writeEntry(KINDS.IDS, task.vpid, own);
		// Without: the original, which can't share memory, won't restore it as memory of its own.
		if (!hasSharedMemory(task, context)) dir.writeEntry(KINDS.MM, task.vpid, draft.mm);
		dir.writeEntry(KINDS.FS, task.vpid, draft.fs);
		if (!tables.has(own.filesId)) dir.writeEntries(KINDS.FDINFO, own.filesId, draft.fds);
		tables.add(own.filesId);
	}
	for (const task of dead) dir.writeEntry(KINDS.CORE, task.vpid, encodeDead(task));
	context.files.writeImages(dir);
	writeSegments(context, dir);
	writeSysvSegments(context, dir, rootIds.ipcNsId);
	dir.writeEntry(KINDS.SECCOMP, undefined, encodeSeccomp(context));
	writeTree(collected, dead, dir);
	const [rootTaskIds] = ids;
	if (rootTaskIds !== undefined) dir.writeEntry(KINDS.TIMENS, timeImageId(rootIds, rootTaskIds), clocks);
	faultPoint("dump:images");
	snapshot?.finish();
	faultPoint("snapshot:copied");
	const { tcpClose, leaveRunning, leaveStopped } = context.options;
	const finish = () => memory.finish(leaveRunning || leaveStopped);
	const tracker = dir.hasPagesLast ? undefined : finish();
	writeInventory(dir, rootIds, { tcpClose, uprobes: hasMetUprobes(context), tracker });
	if (context.options.cpuCap.image) writeCpuinfo(dir);
	if (dir.hasPagesLast) finish();
	dir.finish();
	faultPoint("dump:inventory");
}

/** The dump proper, once nothing stands against it. */
function carryOut(
	{ frozen, context, facts, seen }: Look,
	{ dir, timings, memory, control }: LookSetting,
	give: LazyGive | undefined,
	snapshot: Snapshot | undefined,
	progress: Progress,
	urgency: Urgency,
): PagesWritten {
	const { tasks, dead } = frozen;
	const { options } = context;
	const adopt = (task: DumpedTask, agent: InjectedAgent) => {
		memory.adopt(task, agent);
		if (snapshot !== undefined) adoptForSnapshot(snapshot, task, agent);
	};
	const collected = collectTasks(tasks, context, facts, adopt, () => control.check());
	faultPoint("dump:collected");
	timings.lap("collect");
	progress.expect(-(snapshot?.aheadBytes ?? 0n));
	const pages = copyMemory(collected, context, memory, control, give, (guess) => progress.expectAll(guess));
	control.check();
	faultPoint("dump:pages");
	for (const { task, draft } of collected) for (const kind of TASK_KINDS) kind.conclude?.(task, draft, context);
	const identity = collectIdentity(tasks, context);
	timings.lap("memory");
	// A task that lives on needn't wait for the small images; one that ends must not end before they are whole.
	const livesOn = options.leaveRunning || options.leaveStopped;
	const early = livesOn && !control.hasHooks && give === undefined && !dir.hasPagesLast;
	// Before: threads that copy while the program runs on have our nice value.
	urgency.end();
	snapshot?.start();
	faultPoint("snapshot:armed");
	if (early) {
		frozen.release(options.leaveStopped);
		timings.lap("release");
	}
	snapshot?.run();
	faultPoint("snapshot:running");
	if (snapshot !== undefined) checkMappings(seen);
	writeImages(collected, dead, context, dir, identity, memory, snapshot);
	timings.lap("images");
	if (!early) {
		const facts = { rootPid: tasks[0]?.pid, imagesFd: dir.descriptor };
		control.runHook("post-dump", facts);
		control.check();
		give?.serve(control, facts);
		if (livesOn) frozen.release(options.leaveStopped);
		else frozen.kill();
		timings.lap("release");
	}
	return pages;
}

/**
 * Dumps a tree of processes. A snapshot that fails because of what the tree does meanwhile is followed by a plain dump.
 *
 * @throws BlockedError before anything is done to the target; HookError, CancelledError, CriuError, KernelError, ImageError: the
 * target runs on as before
 */
export function dump(options: Options, control: RunControl = FREE_RUN): DumpResult {
	checkZstdOptions(options);
	if (!options.snapshot) return dumpOnce(options, control);
	checkSnapshotOptions(options);
	try {
		return dumpOnce(options, control);
	} catch (error) {
		if (!(error instanceof CriuError) || error.code !== "SNAPSHOT_LOST") throw error;
		log.warn(`the snapshot failed, a plain dump follows: ${error.message}`);
		try {
			return dumpOnce({ ...options, snapshot: false }, control);
		} catch (again) {
			if (again instanceof CriuError) again.undo.push(error);
			throw again;
		}
	}
}

function dumpOnce(options: Options, control: RunControl): DumpResult {
	const { pid } = options;
	if (pid === undefined) throw new UsageError("NO_PID", "no pid was given", { remedy: "name the process with -t PID" });
	loadHost();
	raiseFdLimit();
	const target = readTarget(pid, options);
	const timings = new Timings();
	using progress = Progress.open(options, "dump");
	using dir = openImages(options, "write", control);
	const livesOn = options.leaveRunning || options.leaveStopped;
	using give = LazyGive.open(options);
	using memory = MemoryRun.open(options, dir, options.trackMem && livesOn);
	const gadgets = guessGadgets(pid);
	control.runHook("pre-dump", { rootPid: pid, imagesFd: dir.descriptor });
	using snapshot = openSnapshot(options, control, memory);
	using urgency = new Urgency();
	timings.lap("prepare");
	const setting: LookSetting = {
		...{ pid, options, dir, gadgets, timings, memory, control },
		see: () => {
			if (snapshot === undefined) return NOTHING_SEEN;
			const seen = seeMappings(pid, true);
			timings.lap("seen");
			urgency.begin();
			return seen;
		},
		meet: (tasks) => snapshot && goOnFromAhead(snapshot, tasks),
	};
	if (snapshot !== undefined) {
		rehearse(options);
		timings.lap("rehearse");
	}
	const held = snapshot === undefined ? 0 : copyAhead(snapshot, setting, progress);
	const look = freezeAndLook(setting);
	using frozen = look.frozen;
	const { context, blockers } = look;
	const { tasks } = frozen;
	if (blockers.length > 0) {
		closeAllCopies(tasks, context);
		throw new BlockedError(`${describeProcess(target)} can't be dumped as it is`, blockers);
	}
	timings.lap("look");
	faultPoint("dump:checked");
	removeOldImages(dir);

	let pages: PagesWritten;
	try {
		memory.begin();
		pages = carryOut(look, setting, give, snapshot, progress, urgency);
	} catch (error) {
		context.files.undo();
		throw nameLoss(dir.explain(error), tasks);
	} finally {
		closeAllCopies(tasks, context);
	}
	faultPoint("dump:end");
	memory.settle(dir);
	progress.succeed();
	context.files.conclude();
	log.info(`Dumped ${describeProcess(target)}`);
	const stats = dumpStats(pages, timings, held);
	const statsDir = options.workDir ?? (options.imagePipe === undefined ? options.imagesDir : undefined);
	if (statsDir !== undefined) writeDumpStats(statsDir, stats, timings);
	return { pid, stats };
}

/**
 * Everything that would stop a dump of this tree; it is frozen only for the look.
 *
 * @throws CriuError when it can't even be looked at
 */
export function preflight(pid: number, options: Options): readonly CriuError[] {
	loadHost();
	raiseFdLimit();
	readTarget(pid, options);
	try {
		return lookOnly(pid, options);
	} catch (error) {
		// What stands so much against it that no more can be looked at.
		if (error instanceof BlockedError) return error.blockers;
		throw error;
	}
}

function lookOnly(pid: number, options: Options): CriuError[] {
	using frozen = freezeTree(pid, options);
	for (const tracker of hideTrackers(frozen.tasks, undefined)) tracker.close();
	const context = new DumpState(options, undefined, frozen.tasks, frozen.dead);
	using watch = watchLooks(pid, options);
	let found: CriuError[];
	try {
		found = watch.during(() => findBlockers(frozen.tasks, frozen.dead, context));
	} finally {
		closeAllCopies(frozen.tasks, context);
	}
	collectFacts(frozen.tasks, undefined, found);
	return findRefusals(found);
}
