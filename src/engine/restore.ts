// SPDX-License-Identifier: GPL-2.0-only
// A restore, stage by stage: read and check everything, plan, build, let go. Until the last step the new process dies with
// us, and a failure leaves nothing behind.

import { existsSync, unlinkSync } from "node:fs";
import { BuiltProcess } from "../agent/built.ts";
import { OP_LOAD } from "../agent/layout.ts";
import { CriuError, isErrno, UsageError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import type { ImageDir } from "../images/index.ts";
import { CLONE_PARENT } from "../kernel/abi/sched.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { freeAfterwards, freeAll } from "../pages/dedup.ts";
import { LazyHandover } from "../pages/lazy/protocol.ts";
import { Progress } from "../pages/progress.ts";
import { describePlan } from "../plan/describe-plan.ts";
import type { DumpImages } from "../plan/model.ts";
import { type PlannedTree, planTree } from "../plan/plan-tree.ts";
import { loadHost } from "../sys/host.ts";
import { raiseFdLimit } from "../sys/limits.ts";
import { __WALL, P_PID, sendSignal, WEXITED, waitId } from "../sys/process.ts";
import { TreeBuilder } from "./build-tree.ts";
import { FREE_RUN, HookError, type HookFacts, type HookName, type RunControl } from "./control.ts";
import { checkCpuinfo } from "./cpuinfo.x86_64.ts";
import { readImages } from "./images.ts";
import { detachInit, NEW_PIDNS_FLAGS, startBelowInit } from "./new-pidns.ts";
import { openImages } from "./open-images.ts";
import { findOwnInTheWay } from "./own-threads.ts";
import { takingPid } from "./pid-holder.ts";
import { writePidfile } from "./pidfile.ts";
import { writeRestoreStats } from "./stats.ts";
import { TaskLogs } from "./task-logs.ts";
import { Timings } from "./timings.ts";
import type { RestoreResult, RestoreStats } from "./types.ts";

const SIGSTOP = 19;
/** How long a tree that was dumped has to end, in milliseconds. */
const ENDING_MS = 10_000;

/** The first processes: the root task, and above it the init of a new pid namespace where one was asked for. */
interface Started {
	task: BuiltProcess;
	init: BuiltProcess | undefined;
}

/** @throws UsageError MAP_PAGES */
function checkMapOptions({ mapPages, lazyPages, autoDedup }: Options): void {
	if (!mapPages || (!lazyPages && !autoDedup)) return;
	const other = lazyPages ? "--lazy-pages" : "--auto-dedup";
	throw new UsageError("MAP_PAGES", `--map-pages can't be used together with ${other}`, {
		remedy: lazyPages ? "leave one of them out" : "keep the pages that the memory is mapped from",
	});
}

/** Creates the root. @throws CriuError PID_TAKEN */
function startRoot(options: Options, tree: PlannedTree): Started {
	const { pid } = tree.root;
	const sibling = options.restoreSibling ? BigInt(CLONE_PARENT) : 0n;
	return takingPid(pid, () => {
		const first = BuiltProcess.start({
			cloneFlags: sibling | (options.newPidns ? NEW_PIDNS_FLAGS : 0n),
			setTid: options.newPidns ? [] : [pid],
			asInit: options.newPidns,
			area: tree.area,
			layout: tree.layout,
			areaFd: tree.areaFd,
			execFd: tree.execFd,
			passes: tree.numbers.passes,
			traceOptions: options.newPidns ? 0 : tree.root.traceOptions,
		});
		if (!options.newPidns) return { task: first, init: undefined };
		try {
			return { task: startBelowInit(first, pid, tree.root.traceOptions), init: first };
		} catch (error) {
			first.kill();
			throw error;
		}
	});
}

/**
 * A tree that is dumped here ends when all of its images were read: waits for that. Before, finds out what would fail, but for what
 * the tree itself is in the way of.
 */
function awaitDumped(options: Options, dir: ImageDir, images: DumpImages, control: RunControl): void {
	try {
		planTree(options, dir, images).numbers.closePasses();
		dir.beginPlan();
	} catch (error) {
		if (!(error instanceof CriuError) || !error.code.endsWith("_TAKEN")) throw error;
		log.debug(`as long as the dumped tree is there: ${error.message}`);
	}
	dir.receive();
	const { pstree } = images;
	const until = performance.now() + ENDING_MS;
	while (performance.now() < until && pstree.some(({ pid }) => existsSync(`/proc/${pid}`))) {
		control.check();
		Bun.sleepSync(1);
	}
}

/** The daemon's connection, before anything is made. @throws CriuError NO_LAZY_DAEMON */
function connectLazy(tree: PlannedTree): LazyHandover {
	try {
		return LazyHandover.connect();
	} catch (error) {
		tree.numbers.closePasses();
		throw error;
	}
}

/** An operation that fails for a reason which its kind didn't foresee gets the advice that always holds. */
function withRemedy(error: unknown): unknown {
	if (!(error instanceof CriuError) || error.code !== "AGENT_OP" || error.remedy !== undefined) return error;
	return new CriuError(error.code, error.message, {
		cause: error.cause,
		where: error.where,
		remedy: "check that the images are undamaged and that this host has all that the program used",
	});
}

function removeTemporaryPaths(tree: PlannedTree): void {
	for (const path of tree.temporaryPaths) {
		try {
			unlinkSync(Buffer.from(path));
		} catch {
			// It was never made, or the agent removed it already.
		}
	}
}

function waitForEnd(pid: number): number {
	for (;;) {
		try {
			const report = waitId(P_PID, pid, WEXITED | __WALL);
			if (report !== undefined) return report.kind === "exited" ? report.status << 8 : report.status;
		} catch (error) {
			if (isErrno(error, "ECHILD")) return 0;
			if (!isErrno(error, "EINTR")) throw error;
		}
	}
}

/** Bytes that agents load. */
function countLoads(tree: PlannedTree): bigint {
	let bytes = 0n;
	for (const { programs } of tree.tasks.values())
		for (const { code, args } of programs.memory.ops) {
			const [, , length] = args;
			if (code === OP_LOAD && typeof length === "bigint") bytes += length;
		}
	return bytes;
}

/** A hook that can't stop a restore any more. */
function tellHook(control: RunControl, name: HookName, facts: HookFacts): void {
	try {
		control.runHook(name, facts);
	} catch (error) {
		if (!(error instanceof HookError)) throw error;
		log.warn(`${error.message}: the restore goes on`);
	}
}

/** Plans, and hands the masters of terminals that get new ones to the caller; without his consent terminals have to be given. */
function planWithTerminals(options: Options, dir: ImageDir, images: DumpImages, control: RunControl): PlannedTree {
	const tree = planTree(options, dir, images);
	try {
		for (const fd of tree.orphanMasters) control.runHook("orphan-pts-master", { imagesFd: dir.descriptor, fd });
		return tree;
	} catch (error) {
		tree.numbers.closePasses();
		if (!(error instanceof HookError)) throw error;
		log.warn(`${error.message}: the terminal has to be given otherwise`);
		dir.beginPlan();
		return planTree({ ...options, orphanPtsMaster: false }, dir, images);
	}
}

/**
 * Restores a dump.
 *
 * @throws ImageError, UnsupportedError before anything is created; HookError, CancelledError, CriuError, KernelError: nothing is
 * left behind
 */
export function restore(options: Options, control: RunControl = FREE_RUN): RestoreResult {
	checkMapOptions(options);
	loadHost();
	raiseFdLimit();
	const timings = new Timings();
	using progress = Progress.open(options, "restore");
	using dir = openImages(options, "read", control);
	if (options.cpuCap.image) checkCpuinfo(dir, options.cpuCap);
	const images = readImages(dir);
	timings.lap("read");
	const imagesFd = dir.descriptor;
	// What came through a pipe comes only once.
	if (!options.newPidns && !dir.isStreamed && options.imagePipe === undefined)
		control.clearTheWay?.(findOwnInTheWay(images.pstree));
	control.runHook("pre-restore", { imagesFd });
	control.check();
	if (dir.isLocal) awaitDumped(options, dir, images, control);
	const tree = planWithTerminals(options, dir, images, control);
	timings.lap("plan");
	const lazy = options.lazyPages ? connectLazy(tree) : undefined;
	let started: Started;
	try {
		faultPoint("restore:planned");
		dir.receive();
		started = startRoot(options, tree);
	} catch (error) {
		lazy?.close();
		throw error;
	} finally {
		tree.numbers.closePasses();
	}
	timings.lap("spawn");
	const { task: built, init } = started;
	progress.expectAll(() => countLoads(tree));
	progress.follow(built.site.loadedAddress);
	using logs = TaskLogs.open(options);
	const helps = { check: () => control.check(), onRootMemory: () => dir.receive(), lazy, note: logs?.note };
	const builder = new TreeBuilder(tree, built, timings, helps);
	const facts = { rootPid: built.pid, imagesFd };
	let removePidfile = () => {};
	try {
		if (init !== undefined) control.runHook("setup-namespaces", facts);
		if (init !== undefined) control.runHook("post-setup-namespaces", facts);
		builder.build();
		dir.finish();
		control.runHook("post-restore", facts);
		removePidfile = writePidfile(options.pidfile, built.pid);
		faultPoint("restore:pidfile");
		builder.finish();
		control.check();
		tellHook(control, "pre-resume", facts);
		if (options.leaveStopped) for (const pid of builder.runningPids) sendSignal(pid, SIGSTOP);
		faultPoint("restore:finished");
		lazy?.check();
	} catch (error) {
		lazy?.close();
		progress.follow(undefined);
		builder.kill();
		init?.kill();
		built.site.close();
		removePidfile();
		removeTemporaryPaths(tree);
		for (const undo of tree.undo) undo();
		throw withRemedy(dir.explain(error));
	}
	progress.follow(undefined);
	if (init !== undefined) detachInit(init);
	builder.detach();
	built.site.close();
	lazy?.finish();
	lazy?.close();
	faultPoint("restore:detached");
	timings.lap("release");
	progress.succeed();
	log.info(`Restored pid ${built.pid}${tree.tasks.size > 1 ? ` and ${tree.tasks.size - 1} others` : ""}`);
	// Only now: a restore that failed may be tried again.
	if (options.autoDedup && options.lazyPages)
		log.warn("--auto-dedup has no effect: the lazy-pages daemon needs the images still");
	else if (options.autoDedup) freeAfterwards("the images", () => freeAll(dir));
	const stats: RestoreStats = {
		pagesCompared: 0n,
		pagesSkippedCow: 0n,
		pagesRestored: 0n,
		forkingTime: timings.between("spawn", "spawn"),
		restoreTime: timings.between("read", "release"),
	};
	const statsDir = options.workDir ?? (options.imagePipe === undefined ? options.imagesDir : undefined);
	if (statsDir !== undefined) writeRestoreStats(statsDir, stats, timings);
	tellHook(control, "post-resume", facts);
	const waitFor = (init ?? built).pid;
	const result = { pid: images.root.pstree.pid, stats, wait: () => waitForEnd(waitFor) };
	return init === undefined ? result : { ...result, outsidePid: built.pid };
}

/** Reads, checks and plans as a restore does, and tells the plan. Creates nothing. */
export function planRestore(options: Options): string {
	loadHost();
	using dir = openImages(options, "read", FREE_RUN);
	if (options.cpuCap.image) checkCpuinfo(dir, options.cpuCap);
	const images = readImages(dir);
	const tree = planTree(options, dir, images);
	tree.numbers.closePasses();
	return describePlan(tree);
}
