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
import { openAt, scopedFd, showPath, statFd } from "../../sys/file.ts";
import type { DumpContext, DumpedTask, RestoreContext, TaskDraft, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { corruptImage } from "./image-checks.ts";
import { keptFilesOf, ownFdPath } from "./kept-files.ts";
import { findPathBlockers } from "./path-blockers.ts";
import { getRegFile } from "./reg-plan.ts";

const SLASH = new Uint8Array([0x2f]);
const MAX_UMASK = 0o777;

function openLink(task: DumpedTask, link: MagicLink) {
	return scopedFd(openAt(`/proc/${task.pid}/${link}`, O_PATH | O_DIRECTORY));
}

function findFsBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	return (["cwd", "root"] as const).flatMap((link) => {
		using dir = openLink(task, link);
		const file = { task, link: readMagicLink(task.pid, link), stat: statFd(dir.fd), ownFd: dir.fd };
		return findPathBlockers(file, link === "cwd" ? "the working directory" : "the root directory", context);
	});
}

function dumpFs(task: DumpedTask, draft: TaskDraft, _ask: Program, context: DumpContext): undefined {
	const register = (link: MagicLink) => {
		using dir = openLink(task, link);
		return context.files.addDirectory(task, readMagicLink(task.pid, link), dir.fd);
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
