// SPDX-License-Identifier: GPL-2.0-only
// Which kernel objects tasks share: memory, descriptor table, directories, signal handlers. Equal numbers in ids-PID.img
// mean the same object. Source: kcmp(2), clone(2) CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_SIGHAND.

import { type CriuError, ImageError, isErrno, PassingError, UnsupportedError } from "../../errors.ts";
import { compareKernel, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_VM } from "../../sys/process.ts";
import type { DumpContext, DumpedTask, RestoreContext, TaskImage, TaskKind, TaskPlan } from "../kind.ts";

const TYPES = { vm: KCMP_VM, files: KCMP_FILES, fs: KCMP_FS, sighand: KCMP_SIGHAND } as const;
type Shared = keyof typeof TYPES;

/** Number 1 of each kind is criu's own. */
const FIRST_ID = 2;

interface Known {
	readonly task: DumpedTask;
	readonly id: number;
}

/** The objects that a dump has met, in the kernel's order, so that each new task costs few comparisons. */
class SharedObjects {
	private readonly sorted: Record<Exclude<Shared, "sighand">, Known[]> = { vm: [], files: [], fs: [] };
	/** By memory: handlers lie in it, and can't be shared without. */
	private readonly handlers = new Map<DumpedTask, Known[]>();
	private readonly nextId: Record<Shared, number> = { vm: FIRST_ID, files: FIRST_ID, fs: FIRST_ID, sighand: FIRST_ID };
	private readonly found: Record<Shared, Map<DumpedTask, Known>> = {
		vm: new Map(),
		files: new Map(),
		fs: new Map(),
		sighand: new Map(),
	};

	/** The first task that has the same object as this one, and the object's number. */
	find(kind: Shared, task: DumpedTask): Known {
		const known = this.found[kind].get(task) ?? this.search(kind, task);
		this.found[kind].set(task, known);
		return known;
	}

	private search(kind: Shared, task: DumpedTask): Known {
		const list = this.candidates(kind, task);
		let low = 0;
		let high = list.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			const known = list[middle] as Known;
			const order = compareKernel(task.pid, known.task.pid, TYPES[kind]);
			if (order === 0) return known;
			if (order === 1) high = middle;
			else low = middle + 1;
		}
		const known = { task, id: this.nextId[kind]++ };
		list.splice(low, 0, known);
		return known;
	}

	/** What it may be, in the kernel's order. */
	private candidates(kind: Shared, task: DumpedTask): Known[] {
		if (kind !== "sighand") return this.sorted[kind];
		const owner = this.find("vm", task).task;
		const list = this.handlers.get(owner) ?? [];
		this.handlers.set(owner, list);
		return list;
	}
}

function objectsOf(context: DumpContext): SharedObjects {
	return context.once("shared-objects", () => new SharedObjects());
}

/** Number of an object of a task. */
export function sharedId(kind: Shared, task: DumpedTask, context: DumpContext): number {
	return objectsOf(context).find(kind, task).id;
}

/** The first task of the tree that has the same object; the task itself when it's that. */
export function firstSharer(kind: Shared, task: DumpedTask, context: DumpContext): DumpedTask {
	return objectsOf(context).find(kind, task).task;
}

function refuse(task: DumpedTask, other: { pid: number }, what: string, remedy: string): CriuError {
	return new UnsupportedError("SHARED_BY_TASKS", `pid ${task.pid} shares its ${what} with pid ${other.pid}`, {
		remedy,
	});
}

/** The root's parent, if that has lent it its memory: it stands outside of the tree. */
function findLender({ pid, isRoot, stat }: DumpedTask): { pid: number } | undefined {
	if (!isRoot || stat.ppid === 0) return undefined;
	try {
		return compareKernel(pid, stat.ppid, KCMP_VM) === 0 ? { pid: stat.ppid } : undefined;
	} catch (error) {
		if (isErrno(error, "ESRCH", "EPERM")) return undefined;
		throw error;
	}
}

/** The shared object has to come from the parent: a child is made with it. */
function findSharingBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	const found: CriuError[] = [];
	const lender = findLender(task);
	if (lender !== undefined)
		found.push(
			new PassingError("SHARED_BY_TASKS", `pid ${task.pid} has its memory from its parent, pid ${lender.pid}, as yet`, {
				remedy: "wait until its vfork(2) or posix_spawn(3) is over, or dump its parent's tree",
			}),
		);
	for (const [kind, what] of [
		["vm", "memory"],
		["sighand", "signal handlers"],
		["files", "descriptor table"],
		["fs", "working directory and umask"],
	] as const) {
		const first = firstSharer(kind, task, context);
		const parent = task.parent === undefined ? undefined : firstSharer(kind, task.parent, context);
		if (first !== task && parent !== first)
			found.push(refuse(task, first, what, "only a child can share it with its parent; let the program unshare(2) it"));
	}
	return found;
}

/** True when an earlier task of the tree has the same memory, with all that the images tell of it. */
export function hasSharedMemory(task: DumpedTask, context: DumpContext): boolean {
	return firstSharer("vm", task, context) !== task;
}

/** The first task that has the memory of this one: what the images tell of it is under its number. */
export function memoryOwner({ ids, tid }: TaskImage, context: RestoreContext): number {
	const owners = context.once("memory-owners", () => {
		const found = new Map<number, number>();
		for (const task of context.tasks) if (!found.has(task.ids.vmId)) found.set(task.ids.vmId, task.tid);
		return found;
	});
	return owners.get(ids.vmId) ?? tid;
}

/** True when a restored task gets its memory by being made with its maker's. */
export function takesMemory({ tid, ids }: TaskImage, context: RestoreContext): boolean {
	return context.makers.get(tid)?.ids.vmId === ids.vmId;
}

/** What tasks share comes from their parents; nothing else can be made again. @throws ImageError, UnsupportedError */
function checkSharing(image: TaskImage, _: TaskPlan, context: RestoreContext): void {
	const { tid, ids, pstree } = image;
	const first = memoryOwner(image, context);
	const maker = context.makers.get(tid);
	const takes = takesMemory(image, context);
	if (first !== tid && (!takes || maker?.tid !== pstree.ppid))
		throw new UnsupportedError(
			"SHARED_BY_TASKS",
			`pid ${tid} shares its memory with pid ${first}, which can't be its maker`,
			{ remedy: "dump a tree in which only children share memory, with their parents" },
		);
	if (maker?.ids.sighandId === ids.sighandId && !takes)
		throw corruptIds(tid, "signal handlers that are shared without the memory that they are in");
}

function corruptIds(tid: number, problem: string): ImageError {
	const file = `ids-${tid}.img`;
	return new ImageError("IMAGE_CORRUPT", `${file}: ${problem}`, {
		file,
		remedy: "dump again; the images were damaged",
	});
}

/** What tasks share. */
export const sharing: TaskKind = { name: "sharing", findBlockers: findSharingBlockers, plan: checkSharing };
