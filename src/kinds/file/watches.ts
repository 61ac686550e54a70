// SPDX-License-Identifier: GPL-2.0-only
// Whom a dump would tell of its own work: files that the tree watches by inotify or fanotify aren't opened.
// Source: inotify(7), fanotify(7).

import { isErrno } from "../../errors.ts";
import { toKernelDev } from "../../kernel/abi/devices.ts";
import { readMountinfo } from "../../kernel/procfs/mountinfo.ts";
import { type FileStat, statPath } from "../../sys/file.ts";
import type { DumpContext, DumpedTask } from "../kind.ts";
import { concatBytes, rootPrefix } from "./file-path.ts";
import { collectFds } from "./open-files.ts";

const SLASH = 0x2f;

/** Everything that tasks of the tree watch. */
function watchedBy(context: DumpContext): { inodes: ReadonlySet<string>; devices: ReadonlySet<number> } {
	return context.once("watched-by-tree", () => {
		const inodes = new Set<string>();
		const devices = new Set<number>();
		for (const task of context.tasks)
			for (const { info } of collectFds(task, context)) {
				if (info.kind.type === "inotify") for (const { sdev, ino } of info.kind.watches) inodes.add(`${sdev}:${ino}`);
				if (info.kind.type !== "fanotify") continue;
				for (const { on, sdev, ino, mntId } of info.kind.marks) {
					const mounts = context.once(`mountinfo:${task.pid}`, () => readMountinfo(task.pid));
					const mount = mounts.find((one) => one.mntId === mntId);
					if (on === "inode") inodes.add(`${sdev}:${ino}`);
					else if (on === "sb") devices.add(sdev);
					else if (mount !== undefined) devices.add(toKernelDev(mount.devMajor, mount.devMinor));
				}
			}
		return { inodes, devices };
	});
}

/** True when a task of the tree would hear of an open of this file: it or its directory is watched. */
export function isWatched(stat: FileStat, name: Uint8Array, task: DumpedTask, context: DumpContext): boolean {
	const { inodes, devices } = watchedBy(context);
	if (inodes.size === 0 && devices.size === 0) return false;
	const sdev = toKernelDev(stat.devMajor, stat.devMinor);
	if (devices.has(sdev) || inodes.has(`${sdev}:${stat.ino}`)) return true;
	try {
		const directory = name.slice(0, Math.max(name.lastIndexOf(SLASH), 1));
		const parent = statPath(concatBytes(rootPrefix(task, context), directory), { follow: false });
		return inodes.has(`${toKernelDev(parent.devMajor, parent.devMinor)}:${parent.ino}`);
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR", "EACCES", "ELOOP", "ENAMETOOLONG")) return false;
		throw error;
	}
}
