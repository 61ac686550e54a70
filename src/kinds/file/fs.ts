// SPDX-License-Identifier: GPL-2.0-only
// Working directory, root directory and umask of a task. Images: fs-PID.img (fs_entry), files.img.
// Source: /proc/PID/cwd, /proc/PID/root, chroot(2), fchdir(2), umask(2).

import type { Program } from "../../agent/program.ts";
import type { CriuError } from "../../errors.ts";
import { hasField } from "../../images/index.ts";
import { O_DIRECTORY, O_PATH } from "../../kernel/abi/fcntl.ts";
import { S_IFDIR, S_IFMT } from "../../kernel/abi/stat.ts";
import { SYS_chroot, SYS_fchdir, SYS_umask } from "../../kernel/abi/syscalls.x86_64.ts";
import { type MagicLink, readMagicLink } from "../../kernel/procfs/links.ts";
import { openAt, scopedFd, showPath, statFd, statPath } from "../../sys/file.ts";
import type { DumpContext, DumpedTask, RestoreContext, TaskDraft, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { corruptImage } from "./image-checks.ts";
import { keptFilesOf, ownFdPath } from "./kept-files.ts";
import { rootKey } from "./mapped-blockers.ts";
import { findPathBlockers } from "./path-blockers.ts";
import { getRegFile } from "./reg-plan.ts";

const SLASH = new Uint8Array([0x2f]);
const MAX_UMASK = 0o777;

function openLink(task: DumpedTask, link: MagicLink) {
	return scopedFd(openAt(`/proc/${task.pid}/${link}`, O_PATH | O_DIRECTORY));
}

/** A directory of a task: its path, and a name that those of other tasks share when they are the same under that path. */
interface Directory {
	readonly link: Uint8Array;
	readonly key: string;
	/** True once it's known that it doesn't stand against a dump. */
	fine: boolean;
}

function lookAt(task: DumpedTask, magic: MagicLink, context: DumpContext): Directory {
	return context.once(`${magic}-of:${task.pid}`, () => {
		const link = readMagicLink(task.pid, magic);
		const { devMajor, devMinor, ino } = statPath(`/proc/${task.pid}/${magic}`);
		const key = `directory:${rootKey(task, context)}:${devMajor}:${devMinor}:${ino}:${Buffer.from(link).toString("latin1")}`;
		return context.once(key, () => ({ link, key, fine: false }));
	});
}

function findFsBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	return (["cwd", "root"] as const).flatMap((magic) => {
		const directory = lookAt(task, magic, context);
		if (directory.fine) return [];
		using dir = openLink(task, magic);
		const file = { task, link: directory.link, stat: statFd(dir.fd), ownFd: dir.fd };
		const what = magic === "cwd" ? "the working directory" : "the root directory";
		const found = findPathBlockers(file, what, context);
		directory.fine = found.length === 0;
		return found;
	});
}

function dumpFs(task: DumpedTask, draft: TaskDraft, _ask: Program, context: DumpContext): undefined {
	const register = (magic: MagicLink) => {
		const { link, key } = lookAt(task, magic, context);
		return context.once(`id-of:${key}`, () => {
			using dir = openLink(task, magic);
			return context.files.addDirectory(task, link, dir.fd);
		});
	};
	draft.fs.cwdId = register("cwd");
	draft.fs.rootId = register("root");
	draft.fs.umask = task.status.umask ?? 0o22;
	return undefined;
}

/** Takes effect when all tasks have their files: the paths of these are those of the mount namespace, not of a task's root. */
function planFs(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const { cwdId, rootId, umask } = image.fs;
	const file = `fs-${image.pstree.pid}.img`;
	if (umask > MAX_UMASK) throw corruptImage(file, `umask is ${umask}`);
	const program = plan.programs.files;
	const root = getRegFile(rootId, context.files.get(rootId));
	for (const dir of [getRegFile(cwdId, context.files.get(cwdId)), root])
		if (hasField(dir, "mode") && (dir.mode & S_IFMT) !== S_IFDIR)
			throw corruptImage(file, `file ${dir.id}, ${showPath(dir.name)}, is no directory`);
	// Tasks that share them have them from their maker.
	const known = context.once("fs-planned", () => new Set<number>());
	if (known.has(image.ids.fsId)) return;
	known.add(image.ids.fsId);
	const kept = keptFilesOf(plan);
	const cwd = kept.keep(program, context.openMapped(program, cwdId, O_PATH | O_DIRECTORY, plan));
	const { release } = plan.programs;
	if (Buffer.compare(root.name, SLASH) !== 0) {
		const number = kept.keep(program, context.openMapped(program, rootId, O_PATH | O_DIRECTORY, plan));
		release.syscall("change the root directory", SYS_chroot, [ownFdPath(number)]);
	}
	release.syscall("change the working directory", SYS_fchdir, [cwd], {
		remedies: { EACCES: "check the permissions of the working directory" },
	});
	release.syscall("set the umask", SYS_umask, [umask], { check: "any" });
}

/** Directories of a task. */
export const fs: TaskKind = { name: "fs", findBlockers: findFsBlockers, dump: dumpFs, plan: planFs };
