// SPDX-License-Identifier: GPL-2.0-only
// Tasks that others wait for when they get at files: servers of FUSE. While they stand still so would criu, for ever: they're looked
// for before anything touches a file. Source: fuse(4).

import { about, type CriuError, isErrno, UnsupportedError } from "../../errors.ts";
import { readFdLink } from "../../kernel/procfs/links.ts";
import { readProcFile } from "../../kernel/procfs/reader.ts";
import { listFds } from "../../kernel/procfs/tasks.ts";
import type { DumpedTask } from "../kind.ts";

/** Types of file systems: fuse, fuseblk, fuse.NAME; the one that shows the kernel's connections has no server. */
const FUSE_MOUNT = / - fuse(?!ctl)/;
/** The device is found by its name: to ask for its number may be a question to one of the servers. */
const FUSE_DEVICE = /\/fuse$/;
const decoder = new TextDecoder("latin1");

/** Whether a task sees file systems that a process serves. What we have no right to look into isn't known. @throws KernelError */
function seesFuse({ pid }: DumpedTask): boolean {
	try {
		return FUSE_MOUNT.test(decoder.decode(readProcFile(`/proc/${pid}/mountinfo`)));
	} catch (error) {
		if (isErrno(error, "EACCES", "EINVAL")) return false;
		throw error;
	}
}

/** The first descriptor by which a task serves a file system. @throws KernelError */
function findFuseDevice({ pid }: DumpedTask): { fd: number; link: string } | undefined {
	for (const fd of listFds(pid)) {
		const link = decoder.decode(readFdLink(pid, fd));
		if (FUSE_DEVICE.test(link)) return { fd, link };
	}
	return undefined;
}

/** Refuses servers of file systems, where there are such; only names are looked at. `mountsOf`: the mount namespace of a task. @throws KernelError */
export function findFileServers(
	tasks: readonly DumpedTask[],
	mountsOf: (task: DumpedTask) => bigint | undefined,
): CriuError[] {
	const looks = new Map(tasks.map((task) => [mountsOf(task), task] as const).reverse());
	if (![...looks.values()].some(seesFuse)) return [];
	return tasks.flatMap((task) => {
		const device = about(
			() => `pid ${task.pid}`,
			() => findFuseDevice(task),
		);
		if (device === undefined) return [];
		const problem = `pid ${task.pid}: fd ${device.fd} (${device.link}) serves a file system (FUSE): while it stood still, so would all who use that, criu included`;
		return [
			new UnsupportedError("FILE_SERVER", problem, {
				remedy:
					"unmount the file system first (fusermount -u), or dump the programs that use it without its server, which runs on meanwhile",
			}),
		];
	});
}
