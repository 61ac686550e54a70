// SPDX-License-Identifier: GPL-2.0-only
// A dump, stage by stage: look, freeze, refuse or go on, ask, copy, write, let go. Knows no resource: kinds do.

import { findGadgets, type Gadgets } from "../agent/gadgets.x86_64.ts";
import { collectInjectionFacts, InjectedAgent, type InjectionFacts } from "../agent/injected.ts";
import { Program } from "../agent/program.ts";
import { BlockedError, CriuError, UsageError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import {
	core_entry_march,
	core_entrySchema,
	task_core_entrySchema,
	thread_core_entrySchema,
} from "../images/gen/core_pb.ts";
import { fs_entrySchema } from "../images/gen/file_pb.ts";
import { pstree_entrySchema } from "../images/gen/inventory_pb.ts";
import { mm_entrySchema } from "../images/gen/mm_pb.ts";
import { seccomp_entrySchema } from "../images/gen/security_pb.ts";
import { create, ImageDir, KINDS } from "../images/index.ts";
import { readMaps } from "../kernel/procfs/maps.ts";
import { closeCopies } from "../kinds/file/fd-table.ts";
import { FileTable } from "../kinds/file/file-table.ts";
import type { Completion, DumpContext, DumpedTask, TaskDraft } from "../kinds/kind.ts";
import { dumpPages, type PagesWritten } from "../kinds/mm/mm-dump.ts";
import { dumpSegmentPages, listSegments } from "../kinds/mm/shared-memory.ts";
import { findNamespaceBlockers, ownIds, readNamespaces, taskIds } from "../kinds/ns/namespaces.ts";
import { dumpTimeNamespace, timeImageId } from "../kinds/ns/time.ts";
import { TASK_KINDS } from "../kinds/registry.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { closeFd } from "../sys/file.ts";
import { loadHost } from "../sys/host.ts";
import { raiseFdLimit } from "../sys/limits.ts";
import { type FrozenTask, freezeTask } from "./freeze.ts";
import { removeOldImages, writeInventory } from "./inventory.ts";
import { isInNewPidns } from "./new-pidns.ts";
import { writeDumpStats } from "./stats.ts";
import { describeProcess, findChildBlockers, readTarget } from "./target.ts";
import { Timings } from "./timings.ts";
import type { DumpResult, DumpStats } from "./types.ts";

/** What is shared by all tasks of one dump. */
class Dump implements DumpContext {
	readonly files = new FileTable(this);
	private readonly shared = new Map<string, unknown>();
	readonly ownNamespaces = readNamespaces("self");
	private nextPagesId = 1;

	constructor(
		readonly options: Options,
		readonly dir: ImageDir | undefined,
	) {}

	once<T>(key: string, make: () => T): T {
		if (!this.shared.has(key)) this.shared.set(key, make());
		return this.shared.get(key) as T;
	}

	/** Namespaces of a task; those that --new-pidns made count as ours. */
	namespacesOf(pid: number): ReturnType<typeof readNamespaces> {
		return this.once(`namespaces:${pid}`, () => {
			const found = readNamespaces(pid);
			if (!isInNewPidns(pid)) return found;
			for (const kind of ["pid", "mnt"] as const) found.set(kind, this.ownNamespaces.get(kind) ?? 0n);
			return found;
		});
	}

	newPagesId(): number {
		return this.nextPagesId++;
	}
}

/** Everything that stops a dump of this task, from all kinds. */
function findBlockers(task: DumpedTask, context: Dump): CriuError[] {
	const found = [
		...findChildBlockers(task.pid),
		...findNamespaceBlockers(task.pid, context.ownNamespaces, context.namespacesOf(task.pid)),
	];
	for (const kind of TASK_KINDS) found.push(...(kind.findBlockers?.(task, context) ?? []));
	return found;
}

/** What injection needs, or the reason why this task can't have the agent in it. */
function collectFacts(
	task: DumpedTask,
	gadgets: Gadgets | undefined,
	blockers: CriuError[],
): InjectionFacts | undefined {
	try {
		return collectInjectionFacts(task.pid, task.vmas, task.stat.startStack, gadgets);
	} catch (error) {
		if (!(error instanceof CriuError)) throw error;
		blockers.push(error);
		return undefined;
	}
}

function newDraft(): TaskDraft {
	return {
		core: create(core_entrySchema, {
			mtype: core_entry_march.X86_64,
			tc: create(task_core_entrySchema),
			threadCore: create(thread_core_entrySchema),
		}),
		mm: create(mm_entrySchema),
		fs: create(fs_entrySchema),
		fds: [],
	};
}

/** Lets all kinds fill the draft; what only the task can tell is asked by the agent, in one batch. */
function collectTask(task: DumpedTask, context: Dump, draft: TaskDraft, facts: InjectionFacts): void {
	const ask = new Program();
	const completions: Completion[] = [];
	for (const kind of TASK_KINDS) {
		const complete = kind.dump(task, draft, ask, context);
		if (complete !== undefined) completions.push(complete);
	}
	const agent = InjectedAgent.infect(facts, task.thread);
	let answers: ReturnType<typeof agent.programs.run>;
	try {
		answers = agent.programs.run(ask);
	} catch (error) {
		agent.cure();
		throw error;
	}
	agent.cure();
	faultPoint("dump:cured");
	for (const complete of completions) complete(answers);
}

function copyMemory(task: DumpedTask, context: Dump, dir: ImageDir, draft: TaskDraft): PagesWritten {
	for (const segment of listSegments(context)) {
		dumpSegmentPages(segment, dir, context.newPagesId());
		closeFd(segment.fd);
	}
	return dumpPages(task, draft, dir, context.newPagesId());
}

/** What only a standing task can tell and no kind owns. */
function collectIdentity(task: DumpedTask, context: Dump) {
	return {
		rootIds: ownIds(context.ownNamespaces),
		ids: taskIds(context.ownNamespaces, context.namespacesOf(task.pid)),
		clocks: dumpTimeNamespace(task.pid),
	};
}

/**
 * Writes everything but the pages, which are there already. The task isn't looked at any more. The inventory comes last: it
 * says that the rest is whole.
 */
function writeImages(
	task: DumpedTask,
	context: Dump,
	dir: ImageDir,
	draft: TaskDraft,
	identity: ReturnType<typeof collectIdentity>,
): void {
	const { rootIds, ids, clocks } = identity;
	const { status, vpid } = task;
	dir.writeEntry(KINDS.CORE, vpid, draft.core);
	dir.writeEntry(KINDS.IDS, vpid, ids);
	dir.writeEntry(KINDS.MM, vpid, draft.mm);
	dir.writeEntry(KINDS.FS, vpid, draft.fs);
	dir.writeEntries(KINDS.FDINFO, ids.filesId, draft.fds);
	context.files.writeImages(dir);
	const segments = listSegments(context);
	dir.writeEntries(
		KINDS.MEMFD_INODE,
		undefined,
		segments.map(({ inode }) => inode),
	);
	dir.writeEntry(KINDS.SECCOMP, undefined, create(seccomp_entrySchema));
	dir.writeEntry(
		KINDS.PSTREE,
		undefined,
		create(pstree_entrySchema, {
			pid: vpid,
			ppid: 0,
			pgid: status.nsPgid[status.nsPgid.length - 1] ?? task.stat.pgrp,
			sid: status.nsSid[status.nsSid.length - 1] ?? task.stat.session,
			threads: [vpid],
		}),
	);
	dir.writeEntry(KINDS.TIMENS, timeImageId(rootIds, ids), clocks);
	faultPoint("dump:images");
	writeInventory(dir, rootIds, context.options.tcpClose);
	faultPoint("dump:inventory");
}

/** The dump proper, once nothing stands against it. */
function carryOut(
	frozen: FrozenTask,
	context: Dump,
	dir: ImageDir,
	facts: InjectionFacts,
	timings: Timings,
): PagesWritten {
	const { task } = frozen;
	const { options } = context;
	const draft = newDraft();
	collectTask(task, context, draft, facts);
	faultPoint("dump:collected");
	timings.lap("collect");
	const pages = copyMemory(task, context, dir, draft);
	faultPoint("dump:pages");
	const identity = collectIdentity(task, context);
	timings.lap("memory");
	// A task that lives on needn't wait for the small images; one that ends must not end before they are whole.
	const livesOn = options.leaveRunning || options.leaveStopped;
	if (livesOn) {
		frozen.release(options.leaveStopped);
		timings.lap("release");
	}
	writeImages(task, context, dir, draft, identity);
	timings.lap("images");
	if (!livesOn) {
		frozen.kill();
		timings.lap("release");
	}
	return pages;
}

/**
 * Dumps one process.
 *
 * @throws BlockedError before anything is done to the target; CriuError, KernelError, ImageError: the target runs on as before
 */
export function dump(options: Options): DumpResult {
	const { pid } = options;
	if (pid === undefined) throw new UsageError("NO_PID", "no pid was given", { remedy: "name the process with -t PID" });
	loadHost();
	raiseFdLimit();
	const target = readTarget(pid);
	const timings = new Timings();
	using dir = ImageDir.open(options.imagesDir);
	const gadgets = findGadgets(pid, readMaps(pid));
	timings.lap("prepare");
	using frozen = freezeTask(pid, options.timeoutSec, () => timings.lap("freeze"));
	const { task } = frozen;
	timings.lap("facts");
	const context = new Dump(options, dir);
	const blockers = findBlockers(task, context);
	const facts = collectFacts(task, gadgets, blockers);
	if (blockers.length > 0 || facts === undefined) {
		closeCopies(task, context);
		throw new BlockedError(`${describeProcess(target)} can't be dumped as it is`, blockers);
	}
	timings.lap("look");
	faultPoint("dump:checked");
	removeOldImages(dir);

	let pages: PagesWritten;
	try {
		pages = carryOut(frozen, context, dir, facts, timings);
	} catch (error) {
		context.files.undo();
		throw error;
	} finally {
		closeCopies(task, context);
	}
	faultPoint("dump:end");
	log.info(`Dumped ${describeProcess(target)}`);
	const stats: DumpStats = {
		freezingTime: timings.between("freeze", "freeze"),
		frozenTime: timings.between("facts", "release"),
		memdumpTime: timings.between("memory", "memory"),
		memwriteTime: timings.between("memory", "memory"),
		irmapResolve: 0,
		pagesScanned: pages.scanned,
		pagesSkippedParent: 0n,
		pagesWritten: pages.written,
		pagesLazy: pages.lazy,
	};
	writeDumpStats(options.workDir ?? options.imagesDir, stats, timings);
	return { pid, stats };
}

/**
 * Everything that would stop a dump of this process; it is frozen only for the look.
 *
 * @throws CriuError when it can't even be looked at
 */
export function preflight(pid: number, options: Options): CriuError[] {
	loadHost();
	raiseFdLimit();
	readTarget(pid);
	using frozen = freezeTask(pid, options.timeoutSec);
	const context = new Dump(options, undefined);
	const found = findBlockers(frozen.task, context);
	closeCopies(frozen.task, context);
	collectFacts(frozen.task, undefined, found);
	return found;
}
