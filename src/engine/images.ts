// SPDX-License-Identifier: GPL-2.0-only
// Reading a dump: all images that describe tasks, checked against each other, before any process exists.

import { ImageError, UnsupportedError } from "../errors.ts";
import { core_entry_march, type task_kobj_ids_entry } from "../images/gen/core_pb.ts";
import type { file_entry } from "../images/gen/fdinfo_pb.ts";
import type { pstree_entry } from "../images/gen/inventory_pb.ts";
import { type ImageDir, KINDS } from "../images/index.ts";
import type { TaskImage } from "../kinds/kind.ts";
import { checkImageNamespaces } from "../kinds/ns/namespaces.ts";
import type { DumpImages } from "../plan/model.ts";
import { readInventory } from "./inventory.ts";

const PID_LIMIT = 4194304;
const ALIVE_STATES = new Set([1, 3]);

function corrupt(file: string, message: string): ImageError {
	return new ImageError("IMAGE_CORRUPT", `${file}: ${message}`, {
		file,
		remedy: "dump again; the images were damaged",
	});
}

/** The one process of the dump. */
function readPstree(dir: ImageDir): pstree_entry {
	const entries = dir.readEntries(KINDS.PSTREE);
	const [root] = entries;
	if (root === undefined) throw corrupt("pstree.img", "no process in it");
	if (entries.length > 1)
		throw new UnsupportedError(
			"UNSUPPORTED_TREE",
			`the images hold a tree of ${entries.length} processes, which this version doesn't restore`,
			{
				remedy: "restore these images with the original criu",
			},
		);
	if (root.ppid !== 0) throw corrupt("pstree.img", `the root has a parent, pid ${root.ppid}`);
	for (const [name, value] of [
		["pid", root.pid],
		["pgid", root.pgid],
		["sid", root.sid],
	] as const)
		if (value > PID_LIMIT || (name === "pid" && value < 1)) throw corrupt("pstree.img", `${name} ${value}`);
	if (root.threads.length > 1)
		throw new UnsupportedError(
			"UNSUPPORTED_THREADS",
			`the images hold ${root.threads.length} threads, which this version doesn't restore`,
			{
				remedy: "restore these images with the original criu",
			},
		);
	if (root.threads[0] !== root.pid) throw corrupt("pstree.img", "the leader isn't the first thread");
	return root;
}

function readFiles(dir: ImageDir): Map<number, file_entry> {
	const files = new Map<number, file_entry>();
	for (const entry of dir.readEntries(KINDS.FILES)) {
		if (files.has(entry.id)) throw corrupt("files.img", `id ${entry.id} twice`);
		files.set(entry.id, entry);
	}
	return files;
}

function readTask(dir: ImageDir, pstree: pstree_entry, ids: task_kobj_ids_entry): TaskImage {
	const name = `core-${pstree.pid}.img`;
	const core = dir.readEntry(KINDS.CORE, pstree.pid);
	if (core.mtype !== core_entry_march.X86_64)
		throw new UnsupportedError(
			"FOREIGN_ARCH",
			`${name}: the dump comes from another machine type (${core_entry_march[core.mtype] ?? core.mtype})`,
			{
				remedy: "restore on a machine of that type",
			},
		);
	if (core.tc === undefined) throw corrupt(name, "the task's state is missing");
	if (!ALIVE_STATES.has(core.tc.taskState)) throw corrupt(name, `task state ${core.tc.taskState}`);
	if (core.threadCore === undefined || core.threadInfo === undefined)
		throw corrupt(name, "the thread's state or registers are missing");
	return {
		pstree,
		core,
		mm: dir.readEntry(KINDS.MM, pstree.pid),
		fs: dir.readEntry(KINDS.FS, pstree.pid),
		fds: dir.readEntries(KINDS.FDINFO, ids.filesId),
	};
}

/**
 * Reads a dump of one process.
 *
 * @throws ImageError, UnsupportedError
 */
export function readImages(dir: ImageDir): DumpImages {
	const { rootIds, ...inventory } = readInventory(dir);
	const pstree = readPstree(dir);
	const ids = dir.readEntry(KINDS.IDS, pstree.pid);
	checkImageNamespaces(rootIds, ids);
	if (ids.filesId === 0 || ids.filesId === rootIds.filesId)
		throw corrupt(`ids-${pstree.pid}.img`, `files_id ${ids.filesId} is criu's own or none`);
	const root = readTask(dir, pstree, ids);
	return { inventory, rootIds, ids, root, files: readFiles(dir) };
}
