// SPDX-License-Identifier: GPL-2.0-only
// Reading a dump: all images that describe tasks, checked against each other, before any process exists.

import { ImageError, UnsupportedError } from "../errors.ts";
import { type core_entry, core_entry_march, type task_kobj_ids_entry } from "../images/gen/core_pb.ts";
import type { file_entry } from "../images/gen/fdinfo_pb.ts";
import type { pstree_entry } from "../images/gen/inventory_pb.ts";
import { hasField, type ImageDir, KINDS } from "../images/index.ts";
import type { TaskImage, ThreadImage } from "../kinds/kind.ts";
import { checkImageNamespaces } from "../kinds/ns/namespaces.ts";
import { WITHOUT_LEADER } from "../kinds/task/comm.ts";
import { TASK_DEAD } from "../kinds/task/dead.ts";
import type { DeadImage, DumpImages } from "../plan/model.ts";
import { readInventory } from "./inventory.ts";

const PID_LIMIT = 4194304;
const MAX_TASKS = 1 << 20;
const TASK_ALIVE = 1;
const TASK_STOPPED = 3;

function corrupt(file: string, message: string): ImageError {
	return new ImageError("IMAGE_CORRUPT", `${file}: ${message}`, {
		file,
		remedy: "dump again; the images were damaged",
	});
}

/** The processes of a dump, each checked, parents before their children. */
function readPstree(dir: ImageDir): pstree_entry[] {
	const entries = dir.readEntries(KINDS.PSTREE);
	const file = "pstree.img";
	const [root] = entries;
	if (root === undefined) throw corrupt(file, "no process in it");
	if (entries.length > MAX_TASKS) throw corrupt(file, `${entries.length} processes`);
	if (root.ppid !== 0) throw corrupt(file, `the root has a parent, pid ${root.ppid}`);
	const pids = new Set<number>();
	for (const entry of entries) {
		for (const [name, value] of [
			["pid", entry.pid],
			["pgid", entry.pgid],
			["sid", entry.sid],
		] as const)
			if (value > PID_LIMIT || (name === "pid" && value < 1)) throw corrupt(file, `${name} ${value}`);
		if (pids.has(entry.pid)) throw corrupt(file, `pid ${entry.pid} twice`);
		if (entry !== root && !pids.has(entry.ppid))
			throw corrupt(file, `pid ${entry.pid} has the parent ${entry.ppid}, which isn't there before it`);
		pids.add(entry.pid);
	}
	checkThreads(entries, pids);
	return entries;
}

/** Threads are named once in the whole tree, and by no number that a process, session or group has. */
function checkThreads(entries: readonly pstree_entry[], pids: ReadonlySet<number>): void {
	const file = "pstree.img";
	const taken = new Set(pids);
	for (const { sid, pgid } of entries) taken.add(sid).add(pgid);
	for (const { pid, threads } of entries) {
		if (threads.length > PID_LIMIT) throw corrupt(file, `pid ${pid} has ${threads.length} threads`);
		for (const tid of threads.slice(1)) {
			if (tid < 1 || tid > PID_LIMIT || taken.has(tid)) throw corrupt(file, `pid ${pid} has a thread ${tid}`);
			taken.add(tid);
		}
	}
}

function readFiles(dir: ImageDir): Map<number, file_entry> {
	const files = new Map<number, file_entry>();
	for (const entry of dir.readEntries(KINDS.FILES)) {
		if (files.has(entry.id)) throw corrupt("files.img", `id ${entry.id} twice`);
		files.set(entry.id, entry);
	}
	return files;
}

function readCore(dir: ImageDir, tid: number): core_entry {
	const core = dir.readEntry(KINDS.CORE, tid);
	if (core.mtype !== core_entry_march.X86_64)
		throw new UnsupportedError(
			"FOREIGN_ARCH",
			`core-${tid}.img: the dump comes from another machine type (${core_entry_march[core.mtype] ?? core.mtype})`,
			{
				remedy: "restore on a machine of that type",
			},
		);
	return core;
}

function readThread(dir: ImageDir, tid: number, task: TaskImage): ThreadImage {
	const core = readCore(dir, tid);
	if (core.tc !== undefined) throw corrupt(`core-${tid}.img`, "a thread has the state of a task");
	if (core.threadCore === undefined || core.threadInfo === undefined)
		throw corrupt(`core-${tid}.img`, "the thread's state or registers are missing");
	return { tid, core, isLeader: false, task };
}

function readTask(
	dir: ImageDir,
	pstree: pstree_entry,
	core: core_entry,
	rootIds: task_kobj_ids_entry,
	before: readonly TaskImage[],
): TaskImage {
	const { pid } = pstree;
	const name = `core-${pid}.img`;
	if (core.threadCore === undefined || core.threadInfo === undefined)
		throw corrupt(name, "the thread's state or registers are missing");
	if (pstree.threads[0] !== pid) throw corrupt("pstree.img", `the leader of pid ${pid} isn't the first thread`);
	const ids = dir.readEntry(KINDS.IDS, pid);
	checkImageNamespaces(rootIds, ids);
	if (ids.filesId === 0 || ids.filesId === rootIds.filesId)
		throw corrupt(`ids-${pid}.img`, `files_id ${ids.filesId} is criu's own or none`);
	const threads: ThreadImage[] = [];
	const leaderExit = core.tc !== undefined && hasField(core.tc, "leaderExitCode") ? core.tc.leaderExitCode : undefined;
	const task: TaskImage = {
		tid: pid,
		pstree,
		core,
		// Tasks that share memory have one image of it, the first one's.
		mm: before.find((other) => other.ids.vmId === ids.vmId)?.mm ?? dir.readEntry(KINDS.MM, pid),
		fs: dir.readEntry(KINDS.FS, pid),
		fds: dir.readEntries(KINDS.FDINFO, ids.filesId),
		ids,
		leaderExit,
		threads,
	};
	threads.push({ tid: pid, core, isLeader: true, task });
	if (leaderExit !== undefined && pstree.threads.length < 2) throw corrupt(name, "no thread is alive");
	for (const tid of pstree.threads.slice(1)) threads.push(readThread(dir, tid, task));
	return task;
}

/** The state of a task, as if its first thread lived: a field of its own tells when it had ended. */
function takeLeaderState({ pid }: pstree_entry, { tc }: core_entry): number {
	if (tc === undefined) return 0;
	const hasEnded = tc.taskState >= WITHOUT_LEADER;
	if (hasEnded !== hasField(tc, "leaderExitCode") || (hasEnded && (tc.leaderExitCode & ~0xff00) !== 0))
		throw corrupt(`core-${pid}.img`, `leader_exit_code ${tc.leaderExitCode} with task_state ${tc.taskState}`);
	if (hasEnded) tc.taskState -= WITHOUT_LEADER;
	return tc.taskState;
}

/**
 * Reads a dump.
 *
 * @throws ImageError, UnsupportedError
 */
export function readImages(dir: ImageDir): DumpImages {
	const { rootIds, ...inventory } = readInventory(dir);
	const tasks: TaskImage[] = [];
	const dead: DeadImage[] = [];
	const entries = readPstree(dir);
	for (const pstree of entries) {
		const core = readCore(dir, pstree.pid);
		if (core.tc === undefined) throw corrupt(`core-${pstree.pid}.img`, "the task's state is missing");
		const { taskState } = core.tc;
		if (taskState === TASK_DEAD) dead.push({ tid: pstree.pid, pstree, core });
		else if (takeLeaderState(pstree, core) === TASK_ALIVE || core.tc.taskState === TASK_STOPPED)
			tasks.push(readTask(dir, pstree, core, rootIds, tasks));
		else throw corrupt(`core-${pstree.pid}.img`, `task state ${taskState}`);
	}
	const [root] = tasks;
	if (root === undefined || root.pstree.ppid !== 0) throw corrupt("pstree.img", "the root is dead");
	const parents = new Set(tasks.map(({ tid }) => tid));
	for (const { pstree } of [...tasks, ...dead])
		if (pstree.ppid !== 0 && !parents.has(pstree.ppid))
			throw corrupt("pstree.img", `pid ${pstree.ppid} is dead, but has a child`);
	return { inventory, rootIds, pstree: entries, root, tasks, dead, files: readFiles(dir) };
}
