// SPDX-License-Identifier: GPL-2.0-only
// What is shared by all stages of a dump, and what stands against one.

import { about, BlockedError, CriuError } from "../errors.ts";
import { type pstree_entry, pstree_entrySchema } from "../images/gen/inventory_pb.ts";
import { create, type ImageDir } from "../images/index.ts";
import { findFileServers } from "../kinds/file/file-servers.ts";
import { FileTable } from "../kinds/file/file-table.ts";
import type { DeadTask, DumpContext, DumpedTask } from "../kinds/kind.ts";
import { findNamespaceBlockers, readNamespaces } from "../kinds/ns/namespaces.ts";
import { TASK_KINDS } from "../kinds/registry.ts";
import type { Options } from "../options.ts";
import { planTreeShape } from "../plan/tree-shape.ts";
import { findForeignTask } from "./foreign-task.ts";
import { isInNewPidns } from "./new-pidns.ts";
import { describeProcess } from "./target.ts";

/** What is shared by all tasks of one dump. */
export class DumpState implements DumpContext {
	readonly files = new FileTable(this);
	private readonly shared = new Map<string, unknown>();
	readonly ownNamespaces = readNamespaces("self");

	constructor(
		readonly options: Options,
		readonly dir: ImageDir | undefined,
		readonly tasks: readonly DumpedTask[],
		readonly dead: readonly DeadTask[],
	) {}

	once<T>(key: string, make: () => T): T {
		if (!this.shared.has(key)) this.shared.set(key, make());
		return this.shared.get(key) as T;
	}

	/** Namespaces of a task; those that --new-pidns made count as ours. */
	namespacesOf(pid: number): ReturnType<typeof readNamespaces> {
		return this.once(`namespaces:${pid}`, () => {
			const found = readNamespaces(pid);
			// All tasks of a pid namespace share the answer.
			if (!this.once(`new-pidns:${found.get("pid")}`, () => isInNewPidns(pid))) return found;
			for (const kind of ["pid", "mnt"] as const) found.set(kind, this.ownNamespaces.get(kind) ?? 0n);
			return found;
		});
	}
}

/** Everything that stops a dump of these tasks, from all kinds. @throws BlockedError where no more may be looked at, CriuError, KernelError */
export function findBlockers(tasks: readonly DumpedTask[], dead: readonly DeadTask[], context: DumpState): CriuError[] {
	const foreign = findForeignTasks(tasks, context.options);
	// What isn't his can't even be looked at with his rights.
	if (foreign.length > 0) return foreign;
	expectNoServers(tasks, context);
	const found: CriuError[] = [];
	for (const task of tasks)
		about(
			() => `pid ${task.pid}`,
			() => {
				const parent = task.parent && context.namespacesOf(task.parent.pid);
				found.push(...findNamespaceBlockers(task.pid, context.ownNamespaces, context.namespacesOf(task.pid), parent));
				found.push(...findTimeNamespaceBlockers(task, context));
				for (const kind of TASK_KINDS) found.push(...(kind.findBlockers?.(task, context) ?? []));
			},
		);
	return found.concat(findShapeBlockers(tasks, dead));
}

/** Refuses a tree that has servers of file systems in it: nothing that touches a file may be done before. @throws BlockedError, KernelError */
export function expectNoServers(tasks: readonly DumpedTask[], context: DumpState): void {
	const [root] = tasks;
	const servers = findFileServers(tasks, ({ pid }) => context.namespacesOf(pid).get("mnt"));
	if (root !== undefined && servers.length > 0)
		throw new BlockedError(`${describeProcess(root.stat)} can't be dumped as it is`, servers);
}

/** Tasks that a user who is restricted to his own couldn't trace himself. */
function findForeignTasks(tasks: readonly DumpedTask[], { onlyUser }: Options): CriuError[] {
	if (onlyUser === undefined) return [];
	return tasks.flatMap(({ pid, status }) => findForeignTask(pid, status, onlyUser) ?? []);
}

/** A tree that couldn't be made again: sessions and groups that come from outside of it. */
function findShapeBlockers(tasks: readonly DumpedTask[], dead: readonly DeadTask[]): CriuError[] {
	try {
		planTreeShape([
			...tasks.map((task) => ({ ...encodePstree(task, []), dead: false })),
			...dead.map((task) => ({ ...encodePstree(task, []), dead: true })),
		]);
		return [];
	} catch (error) {
		if (error instanceof CriuError) return [error];
		throw error;
	}
}

/** One time namespace is kept for the whole tree. */
function findTimeNamespaceBlockers(task: DumpedTask, context: DumpState): CriuError[] {
	if (task.parent === undefined) return [];
	const [own, parent] = [task, task.parent].map(({ pid }) => context.namespacesOf(pid).get("time"));
	if (own === parent) return [];
	return [
		new CriuError("UNSUPPORTED_NAMESPACE", `pid ${task.pid} is in another time namespace than its parent`, {
			remedy: "dump it on its own, without its parent",
		}),
	];
}

/** A process as pstree.img has it. */
export function encodePstree(task: DumpedTask | DeadTask, threads: number[]): pstree_entry {
	const { status, stat, vpid, parent } = task;
	return create(pstree_entrySchema, {
		pid: vpid,
		ppid: parent?.vpid ?? 0,
		pgid: status.nsPgid[status.nsPgid.length - 1] ?? stat.pgrp,
		sid: status.nsSid[status.nsSid.length - 1] ?? stat.session,
		threads,
	});
}
