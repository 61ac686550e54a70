// SPDX-License-Identifier: GPL-2.0-only
// From images to a plan: which operations the agents run at each stage, which descriptors they get, where they live.

import { findHole, PLACE_LIMIT_32 } from "../agent/injected.ts";
import { PAGE_SIZE } from "../agent/layout.ts";
import { type OpRef, Program, sizeProgram } from "../agent/program.ts";
import { layOutSite, type SiteLayout, shrinkSite } from "../agent/site.ts";
import { BugError, CriuError } from "../errors.ts";
import type { file_entry } from "../images/gen/fdinfo_pb.ts";
import { remap_type } from "../images/gen/file_pb.ts";
import { type ImageDir, KINDS } from "../images/index.ts";
import { PR_SET_PDEATHSIG } from "../kernel/abi/prctl.ts";
import { SYS_close_range, SYS_prctl } from "../kernel/abi/syscalls.x86_64.ts";
import { listWatchedNumbers } from "../kinds/file/epoll.ts";
import { FdNumberTable } from "../kinds/file/fd-numbers.ts";
import { estimateGhostPrograms } from "../kinds/file/ghost-plan.ts";
import { keptFilesOf } from "../kinds/file/kept-files.ts";
import { planOpenMapped } from "../kinds/file/mapped-file.ts";
import { readRemaps } from "../kinds/file/remaps.ts";
import {
	type FdNumbers,
	type RestoreContext,
	STAGE_GROUPS,
	STAGES,
	type Stage,
	type TaskImage,
	type TaskPlan,
	type ThreadImage,
	type ThreadPlan,
} from "../kinds/kind.ts";
import { LASTING_ROOM } from "../kinds/lasting.ts";
import { readRuns } from "../kinds/mm/mm-pages.ts";
import { planTimeNamespace, timeImageId } from "../kinds/ns/time.ts";
import { TASK_KINDS } from "../kinds/registry.ts";
import { planDeath } from "../kinds/task/dead.ts";
import { isCompatTask } from "../kinds/task/registers.ia32.ts";
import type { Options } from "../options.ts";
import type { DeadImage, DumpImages } from "./model.ts";
import { planTreeShape, type TreeStep } from "./tree-shape.ts";

const SCRATCH_ALIGN = 1n << 30n;
/** Bytes of program for each mapping, descriptor, file and run of pages: generous, the area is only addresses until used. */
const PER_ITEM = 1024;
const BASE_ROOM = 512 * 1024;
/** For programs that aren't planned: such as make children by the batch. */
const LEAST_ROOM = 128 * 1024;
/** What a second plan may take more than the first: its addresses differ, and with them texts of a few bytes. */
const PROGRAM_SLACK = 64 * 1024;
/** The kernel keeps out of the last page below the border of user space. */
const MAX_FD = 0xffffffff;

/** What is shared by the plans of all tasks of a restore. */
class Restore implements RestoreContext {
	private readonly shared = new Map<string, unknown>();
	readonly files: ReadonlyMap<number, file_entry>;
	readonly tasks: readonly TaskImage[];
	readonly pids: ReadonlySet<number>;
	readonly makers: ReadonlyMap<number, TaskImage>;

	constructor(
		readonly options: Options,
		readonly dir: ImageDir,
		images: DumpImages,
		readonly steps: readonly TreeStep[],
	) {
		this.files = images.files;
		this.tasks = images.tasks;
		this.pids = new Set([...images.tasks, ...images.dead].map(({ tid }) => tid));
		this.makers = findMakers(images, steps);
	}

	once<T>(key: string, make: () => T): T {
		if (!this.shared.has(key)) this.shared.set(key, make());
		return this.shared.get(key) as T;
	}

	openMapped(program: Program, id: number, flags: number, plan: TaskPlan): OpRef {
		return planOpenMapped(program, id, flags, plan, this);
	}
}

/** The plan of a thread that isn't a leader. */
export interface PlannedThread extends ThreadPlan {
	readonly tid: number;
	/** Where its agent lives. */
	readonly slot: number;
}

/** The plan of a task. */
export interface PlannedTask extends TaskPlan {
	readonly image: TaskImage;
	readonly slot: number;
	readonly numbers: TaskNumbers;
	readonly threads: readonly PlannedThread[];
}

/** A finished plan. */
export interface PlannedTree {
	readonly root: PlannedTask;
	/** By pid, parents before their children. */
	readonly tasks: ReadonlyMap<number, PlannedTask>;
	/** Zombies by pid. */
	readonly dead: ReadonlyMap<number, DeadImage>;
	/** How zombies end, by pid. */
	readonly deaths: ReadonlyMap<number, Program>;
	readonly steps: readonly TreeStep[];
	/** Slots of zombies and helpers by pid; one more for a go-between. */
	readonly slots: ReadonlyMap<number, number>;
	readonly spareSlot: number;
	/** Descriptor numbers, in all tasks the same. */
	readonly numbers: FdNumberTable;
	readonly area: bigint;
	readonly layout: SiteLayout;
	readonly areaFd: number;
	readonly execFd: number;
	readonly temporaryPaths: readonly Uint8Array[];
	readonly undo: readonly (() => void)[];
	/** Open until `numbers` closes what is passed. */
	readonly orphanMasters: readonly number[];
}

/**
 * The numbers of one task: all tasks have the same table, as a child starts with its maker's descriptors, but each uses only
 * what was passed for it.
 */
class TaskNumbers implements FdNumbers {
	readonly passed: number[] = [];
	/** Sets the purposes of this task apart from those of others. */
	prefix = "";

	constructor(private readonly table: FdNumberTable) {}

	reserve(purpose: string): number {
		return this.table.reserve(this.prefix + purpose);
	}

	pass(ownFd: number, purpose: string): number {
		const number = this.table.pass(ownFd, purpose);
		this.passed.push(number);
		return number;
	}
}

/** Bytes of the largest program that a task may need, judged from the number of things to build. */
function estimateProgram(image: TaskImage, images: DumpImages, context: RestoreContext): number {
	const names = context.once("names-room", () => {
		let bytes = 0;
		for (const { reg, epfd } of images.files.values())
			bytes += (reg?.name.length ?? 0) + PER_ITEM + (epfd?.tfd.length ?? 0) * (PER_ITEM / 8);
		return bytes;
	});
	const runs = context.dir.exists(KINDS.PAGEMAP, image.tid) ? readRuns(image.tid, context).runs.length : 0;
	const items = image.mm.vmas.length + image.fds.length * 2 + runs;
	const content = context.once("ghosts-room", () => {
		const ghosts = [...readRemaps(context).values()].filter(({ type }) => type === remap_type.GHOST);
		return estimateGhostPrograms(context, new Set(ghosts.map(({ id }) => id)));
	});
	return BASE_ROOM + content + names * 2 + items * PER_ITEM + (image.core.tc?.sigactions.length ?? 0) * 256;
}

/** Bytes of the largest program that an agent gets. */
function sizeLargest(tree: PlannedTree): number {
	let largest = 0;
	for (const task of tree.tasks.values())
		for (const { programs } of [task, ...task.threads])
			for (const group of STAGE_GROUPS)
				largest = Math.max(
					largest,
					group.reduce((sum, stage) => sum + sizeProgram(programs[stage]), 0),
				);
	for (const program of tree.deaths.values()) largest = Math.max(largest, sizeProgram(program));
	return largest;
}

/**
 * Plans the restore of a tree. Nothing is created; descriptors of images are opened and belong to `numbers` of the plan.
 *
 * @throws ImageError, UnsupportedError, CriuError
 */
export function planTree(options: Options, dir: ImageDir, images: DumpImages): PlannedTree {
	if (images.inventory.allowUprobes && !options.allowUprobes)
		throw new CriuError("NEEDS_ALLOW_UPROBES", "the dumped program had uprobes in its text", {
			remedy: "give --allow-uprobes when the same probes are there now; without them it would crash",
		});
	const dead = new Set(images.dead.map(({ tid }) => tid));
	const steps = planTreeShape(images.pstree.map((entry) => ({ ...entry, dead: dead.has(entry.pid) })));
	const context = new Restore(options, dir, images, steps);
	const room = Math.max(...images.tasks.map((task) => estimateProgram(task, images, context)));
	const tree = planWithin(room, context, images);
	const needed = sizeLargest(tree);
	if (needed <= tree.layout.programLength) return withRoom(tree, needed);
	// Things that the estimate doesn't count, such as waiting signals, can be many.
	tree.numbers.closePasses();
	const larger = planWithin(needed + PROGRAM_SLACK, new Restore(options, dir, images, steps), images);
	const size = sizeLargest(larger);
	if (size <= larger.layout.programLength) return withRoom(larger, size);
	larger.numbers.closePasses();
	throw new BugError(`a plan that fits into no area: ${size} bytes`);
}

/** A plan whose area has as much memory as its programs take. */
function withRoom(tree: PlannedTree, needed: number): PlannedTree {
	return { ...tree, layout: shrinkSite(tree.layout, Math.max(needed, LEAST_ROOM)) };
}

/** A place that is free in the address spaces of all tasks, below `limit`. */
function findCommonHole(images: DumpImages, length: number, limit?: bigint): bigint {
	const vmas = images.tasks.flatMap(({ mm }) => mm.vmas.filter((vma) => vma.end > vma.start));
	vmas.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
	return findHole(vmas, length, limit);
}

function newPrograms(): Record<Stage, Program> {
	return Object.fromEntries(STAGES.map((stage) => [stage, new Program()])) as Record<Stage, Program>;
}

/** Gives each agent its place: the root's is the first, threads come behind their leaders. */
class SlotCounter {
	readonly byPid = new Map<number, number>();
	next = 0;

	take(): number {
		return this.next++;
	}
}

function newTask(image: TaskImage, table: FdNumberTable, slots: SlotCounter, shared: SharedParts): PlannedTask {
	return {
		pid: image.tid,
		session: new Program(),
		awaits: new Set(),
		news: undefined,
		leaderFirst: false,
		image,
		slot: slots.take(),
		programs: newPrograms(),
		traceOptions: 0,
		outside: [],
		beforeDetach: [],
		afterDetach: [],
		numbers: new TaskNumbers(table),
		final: {},
		lazy: [],
		...shared,
		threads: image.threads.slice(1).map(({ tid }) => ({
			tid,
			slot: slots.take(),
			programs: newPrograms(),
			traceOptions: 0,
			beforeDetach: [],
			afterDetach: [],
			final: {},
		})),
	};
}

/** Tasks as they are made: what one takes from another has to be there. */
function inOrder(images: DumpImages, steps: readonly TreeStep[]): TaskImage[] {
	const byPid = new Map(images.tasks.map((image) => [image.tid, image]));
	const made = steps.flatMap((step) => (step.do === "fork" || step.do === "fork-orphan" ? [step.pid] : []));
	return [images.root.tid, ...made].flatMap((pid) => byPid.get(pid) ?? []);
}

/** Tasks that share memory or a table of descriptors work in it one after the other, each with numbers of its own. */
function takeTurns(tasks: readonly PlannedTask[]): void {
	for (const id of ["filesId", "vmId"] as const) {
		const users = new Map<number, PlannedTask[]>();
		for (const task of tasks) {
			const others = users.get(task.image.ids[id]) ?? [];
			users.set(task.image.ids[id], [...others, task]);
			if (others.length === 0) continue;
			if (id === "filesId") task.numbers.prefix = `pid ${task.pid}: `;
			for (const other of others) task.awaits.add(other.pid);
		}
	}
}

type SharedParts = Pick<
	TaskPlan,
	"area" | "hasCalls32" | "scratch" | "lasting" | "temporaryPaths" | "undo" | "orphanMasters"
>;

/** A plan with room for programs of that size, whether all of them fit or not. */
function planWithin(programs: number, context: Restore, images: DumpImages): PlannedTree {
	const { steps } = context;
	const helpers = steps.flatMap((step) => (step.do === "fork" && step.helper ? [step.pid] : []));
	const agents = images.tasks.reduce((sum, { threads }) => sum + threads.length, 0);
	const layout = layOutSite(programs, agents + images.dead.length + helpers.length);
	const room = layout.areaLength + PAGE_SIZE * 32;
	const hole = findCommonHole(images, room);
	// Calls of 32-bit code take addresses that it can name; other temporary mappings needn't lie there, and have no room.
	const is32 = images.tasks.some(isCompatTask);
	const start = is32 ? findCommonHole(images, room, PLACE_LIMIT_32) : hole;
	const end = start + BigInt(layout.areaLength);
	const restored = images.tasks.flatMap(({ fds }) => fds.map(({ fd }) => fd));
	const table = new FdNumberTable([...restored, ...listWatchedNumbers(images.files.values())]);
	const lasting = ((is32 ? hole : end) + SCRATCH_ALIGN) & ~(SCRATCH_ALIGN - 1n);
	const shared: SharedParts = {
		area: { start, end },
		hasCalls32: is32,
		lasting,
		scratch: lasting + LASTING_ROOM,
		temporaryPaths: [],
		undo: [],
		orphanMasters: [],
	};
	const slots = new SlotCounter();
	const tasks = new Map(inOrder(images, steps).map((image) => [image.tid, newTask(image, table, slots, shared)]));
	takeTurns([...tasks.values()]);
	const root = tasks.get(images.root.tid);
	if (root === undefined) throw new BugError("a tree without a root");
	for (const pid of [...images.dead.map(({ tid }) => tid), ...helpers]) slots.byPid.set(pid, slots.take());
	const tree: PlannedTree = {
		root,
		tasks,
		dead: new Map(images.dead.map((image) => [image.tid, image])),
		deaths: new Map(images.dead.map((image) => [image.tid, planDeath(image)])),
		steps,
		slots: slots.byPid,
		spareSlot: slots.take(),
		numbers: table,
		area: start,
		layout,
		areaFd: table.reserve("agent area"),
		execFd: table.reserve("agent executable"),
		temporaryPaths: shared.temporaryPaths,
		undo: shared.undo,
		orphanMasters: shared.orphanMasters,
	};
	try {
		planAll(tree, context, images);
		return tree;
	} catch (error) {
		table.closePasses();
		throw error;
	}
}

/** Kind by kind, so that what one task makes and others take is planned in the order in which it will be made. */
function planAll(tree: PlannedTree, context: Restore, images: DumpImages): void {
	const { root, tasks } = tree;
	const { rootIds } = images;
	for (const task of tasks.values()) task.programs.tree.syscall("outlive criu", SYS_prctl, [PR_SET_PDEATHSIG, 0]);
	planTimeNamespace(context.dir, timeImageId(rootIds, root.image.ids), root);
	for (const kind of TASK_KINDS)
		for (const task of tasks.values()) {
			kind.plan?.(task.image, task, context);
			for (const [thread, plan] of threadsOf(task)) {
				// What a leader that ends at once needn't have could do harm by its end.
				const ends = thread.isLeader && thread.task.leaderExit !== undefined;
				if (!ends || kind.ofDeadLeader === true) kind.planThread?.(thread, plan, context);
			}
		}
	for (const task of tasks.values()) keptFilesOf(task).closeAll(task.programs.release);
	planInheritedFds(tree);
}

function* threadsOf(task: PlannedTask): Generator<[ThreadImage, ThreadPlan]> {
	const plans = [task, ...task.threads];
	for (const [index, image] of task.image.threads.entries()) {
		const plan = plans[index];
		if (plan !== undefined) yield [image, plan];
	}
}

/** Who makes whom. */
export function makersOf(steps: readonly TreeStep[]): Map<number, number> {
	return new Map(steps.flatMap((step) => ("maker" in step && step.do !== "end" ? [[step.pid, step.maker]] : [])));
}

/** The task from which each one has its memory: helpers and zombies only hand on what they have themselves. */
function findMakers(images: DumpImages, steps: readonly TreeStep[]): Map<number, TaskImage> {
	const byPid = new Map(images.tasks.map((image) => [image.tid, image]));
	const makers = makersOf(steps);
	const found = new Map<number, TaskImage>();
	for (const { tid } of images.tasks) {
		let at = makers.get(tid);
		while (at !== undefined && !byPid.has(at)) at = makers.get(at);
		const image = at === undefined ? undefined : byPid.get(at);
		if (image !== undefined) found.set(tid, image);
	}
	return found;
}

/** Adds what closes all descriptors but some. */
function closeOthers(program: Program, kept: readonly number[]): void {
	const sorted = [...new Set(kept)].sort((a, b) => a - b);
	let from = 0;
	for (const number of [...sorted, MAX_FD]) {
		const to = number === MAX_FD ? MAX_FD : number - 1;
		if (to >= from) program.syscall("close what comes from the maker", SYS_close_range, [from, to, 0]);
		from = number + 1;
	}
}

/**
 * A child starts with its maker's descriptors. Of these it keeps what was passed for it and those that it makes, before its
 * memory is built; before its files are opened, only its own.
 */
function planInheritedFds(tree: PlannedTree): void {
	const makers = makersOf(tree.steps);
	const below = new Map<number, number[]>();
	// Children come behind their makers, so going backwards each list is whole when it's handed up.
	const order = [
		tree.root.pid,
		...tree.steps.flatMap((step) => ("maker" in step && step.do !== "end" ? [step.pid] : [])),
	];
	for (const pid of order.reverse()) {
		const own = [...(below.get(pid) ?? []), ...(tree.tasks.get(pid)?.numbers.passed ?? [])];
		below.set(pid, own);
		const maker = makers.get(pid);
		if (maker === undefined) continue;
		const list = below.get(maker);
		if (list === undefined) below.set(maker, [...own]);
		else for (const number of own) list.push(number);
	}
	for (const task of tree.tasks.values()) {
		const maker = makers.get(task.pid);
		const sharesTable = maker !== undefined && tree.tasks.get(maker)?.image.ids.filesId === task.image.ids.filesId;
		if (sharesTable) continue;
		const all = below.get(task.pid) ?? [];
		if (maker !== undefined) prepend(task.programs.tree, (program) => closeOthers(program, all));
		const others = all.filter((number) => !task.numbers.passed.includes(number));
		if (others.length > 0) prepend(task.programs.files, (program) => closeRanges(program, others));
	}
}

/** Puts operations before those that are there; none of either may refer to the other's. */
function prepend(program: Program, add: (first: Program) => void): void {
	const first = new Program();
	add(first);
	program.insertFirst(first);
}

function closeRanges(program: Program, numbers: readonly number[]): void {
	const sorted = [...new Set(numbers)].sort((a, b) => a - b);
	for (let i = 0; i < sorted.length; ) {
		let last = i;
		while (last + 1 < sorted.length && sorted[last + 1] === (sorted[last] ?? 0) + 1) last++;
		program.syscall("close what was for others", SYS_close_range, [sorted[i] ?? 0, sorted[last] ?? 0, 0]);
		i = last + 1;
	}
}
