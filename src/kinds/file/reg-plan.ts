// SPDX-License-Identifier: GPL-2.0-only
// Opens a file of files.img by its name, or what replaces the name, with the flags that it was open with.
// What can be known to fail is checked here, before any process exists.

import type { OpRef, Program } from "../../agent/program.ts";
import { CriuError, isErrno } from "../../errors.ts";
import type { file_entry } from "../../images/gen/fdinfo_pb.ts";
import { type reg_file_entry, remap_type } from "../../images/gen/file_pb.ts";
import { hasField } from "../../images/index.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { S_IFIFO, S_IFLNK, S_IFMT, S_IFSOCK } from "../../kernel/abi/stat.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { lookAtPath, showPath, toCString } from "../../sys/file.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";
import { packBuildId, readBuildId } from "./build-id.ts";
import { planOfDeadProcess } from "./dead-process.ts";
import { concatBytes, isProcPath } from "./file-path.ts";
import { planGhost, readGhost } from "./ghost-plan.ts";
import { checkInner, checkPath, corruptImage } from "./image-checks.ts";
import { keyOfPath, planInheritedAgain } from "./inherit-fd.ts";
import { type KeptRef, keptFilesOf, keptPath, planShare } from "./kept-files.ts";
import { isLinkName, removeAfterwards } from "./link-remap.ts";
import { findMissingFolder, isTaken, MissingFolders } from "./missing-folders.ts";
import { planOpenCall } from "./open-call.ts";
import { readRemaps } from "./remaps.ts";
import { planTmpfsFile } from "./tmpfs-plan.ts";

const O_ASYNC = 0o20000;
const TMPFILE_BIT = fcntl.O_TMPFILE & ~fcntl.O_DIRECTORY;
const RWX = 0o777;
const MAX_POS = (1n << 63n) - 1n;
/** The position of a description that must not seek. */
export const NO_SEEK = (1n << 64n) - 1n;
/** What open(2) must not do again. */
const ONCE_ONLY = fcntl.O_CREAT | fcntl.O_EXCL | fcntl.O_TRUNC | fcntl.O_CLOEXEC;

const OPEN_REMEDIES = {
	ENOENT: "the file was removed since the dump: copy it back",
	EACCES: "check the permissions and mount options of the file",
	EROFS: "its file system is mounted read-only: remount it writable",
	ETXTBSY: "the file is being executed: end that program first",
	ENXIO: "the device isn't there: load its driver",
	ENODEV: "the device isn't there: load its driver",
	ELOOP: "the file was replaced by a symbolic link since the dump: copy it back",
	EPERM: "run as root, and check the file's attributes with lsattr",
	ENOTDIR: "what was a directory is none any more: put the directory back",
	EISDIR: "the file was replaced by a directory since the dump: put the file back",
	EINVAL: "the file system of the file takes other flags than the one of the dump: put the file on one of that type",
} as const;

/** Flags of an image as open(2) takes them. */
export function toOpenFlags(flags: number): number {
	let wanted = flags & ~ONCE_ONLY;
	if ((flags & TMPFILE_BIT) !== 0) wanted &= ~(TMPFILE_BIT | fcntl.O_DIRECTORY);
	return wanted | fcntl.O_NOCTTY;
}

/** Files that can send signals need telling besides: open(2) only notes the flag. */
export function planAsync(program: Program, fd: OpRef, flags: number): void {
	if ((flags & O_ASYNC) === 0 || (flags & fcntl.O_PATH) !== 0) return;
	program.syscall("turn signals of the file on", nr.SYS_fcntl, [fd, fcntl.F_SETFL, flags]);
}

/** The REG part of an entry, its path checked. @throws ImageError */
export function getRegFile(id: number, entry: file_entry | undefined): reg_file_entry {
	if (entry === undefined) throw corruptImage("files.img", `no file has id ${id}`);
	const reg = checkInner(id, "regular file", entry.reg);
	if (!reg.ext) checkPath("files.img", `name of file ${id}`, reg.name);
	if (reg.pos > MAX_POS && reg.pos !== NO_SEEK) throw corruptImage("files.img", `pos of file ${id} is ${reg.pos}`);
	return reg;
}

function changed(name: Uint8Array, problem: string, remedy: string): CriuError {
	return new CriuError("FILE_CHANGED", `${showPath(name)} has changed since the dump: ${problem}`, { remedy });
}

/** What the caller of planOpenReg is prepared for: opening a named pipe can wait for ever. */
export type Opened = "file" | "fifo";

/** Compares a file with what it was at the dump. @throws CriuError FILE_MISSING, FILE_CHANGED */
export function checkUnchanged(reg: reg_file_entry, path: Uint8Array, context: RestoreContext, as: Opened): void {
	const { options } = context;
	let stat: ReturnType<typeof lookAtPath>;
	try {
		stat = lookAtPath(path, (reg.flags & fcntl.O_NOFOLLOW) === 0);
	} catch (error) {
		const isGone = isErrno(error, "ENOENT", "ENOTDIR");
		throw new CriuError("FILE_MISSING", `${showPath(path)} ${isGone ? "doesn't exist" : "can't be looked at"}`, {
			cause: error,
			remedy: isGone
				? "the file was removed since the dump: copy it back"
				: "check the permissions of its directories, and that the file system is mounted and well",
		});
	}
	const type = stat.mode & S_IFMT;
	// No dump has a name for these: opening them could wait for ever.
	if ((type === S_IFSOCK || (type === S_IFIFO && as === "file")) && (reg.flags & fcntl.O_PATH) === 0)
		throw changed(path, "it's a named pipe or a socket now", "put back the file as it was");
	if (as === "fifo" && type !== S_IFIFO) throw changed(path, "it's no named pipe any more", "make it again: mkfifo");
	if (hasField(reg, "mode")) {
		const mask = options.skipFileRwxCheck ? 0xffff & ~RWX : 0xffff;
		const octal = (mode: number) => `0${(mode & mask).toString(8)}`;
		if ((stat.mode & mask) !== (reg.mode & mask))
			throw changed(
				path,
				`its mode is ${octal(stat.mode)}, it was ${octal(reg.mode)}`,
				(stat.mode & S_IFMT) === (reg.mode & S_IFMT)
					? "set its mode as it was, or use --skip-file-rwx-check"
					: "put back a file of the same type",
			);
	}
	if (hasField(reg, "size") && stat.size !== reg.size)
		throw changed(path, `its size is ${stat.size}, it was ${reg.size}`, "put back the file as it was");
	if (reg.buildId.length === 0 || options.fileValidation !== "buildid") return;
	const found = readBuildId(path);
	const words = found === undefined ? [] : packBuildId(found);
	if (words.length !== reg.buildId.length || words.some((word, i) => word !== reg.buildId[i]))
		throw changed(
			path,
			found === undefined ? "no build-id can be read from it" : "it's another build of the program",
			"put back the file as it was, or use --file-validation filesize",
		);
}

/** Opens what a kept number stands for. */
function openKept(
	program: Program,
	kept: KeptRef,
	flags: number,
	name: Uint8Array,
	plan: TaskPlan,
	isNofollow: boolean,
): OpRef {
	// Handles have no state that two of them could have apart.
	const handle = fcntl.O_PATH | fcntl.O_NOFOLLOW;
	if (isNofollow && (flags & handle) === handle) return planShare(program, kept, plan);
	// The link of /proc itself must be followed.
	const wanted = flags & ~fcntl.O_NOFOLLOW;
	const what = () => `open ${showPath(name)} again`;
	return planOpenCall(program, what, keptPath(kept, plan), wanted, plan, { remedies: OPEN_REMEDIES });
}

/** A renamed file gets its old name back for an instant. Gives where it's kept. */
function planLinked(
	program: Program,
	remapId: number,
	name: Uint8Array,
	plan: TaskPlan,
	context: RestoreContext,
): KeptRef {
	const link = getRegFile(remapId, context.files.get(remapId)).name;
	// It's removed afterwards: images must not be able to name any other file.
	if (!isLinkName(link)) throw corruptImage("remap-fpath.img", `${showPath(link)} is no link that a dump makes`);
	return context.once(`linked:${remapId}:${showPath(name)}`, () => {
		const target = isTaken(name) ? concatBytes(name, new TextEncoder().encode(".cr_link")) : name;
		const at = toCString(target);
		const shown = showPath(target);
		const missing = findMissingFolder(target);
		const folders = missing === undefined ? undefined : new MissingFolders(program, missing, plan.undo);
		folders?.makeAbove(target);
		program.syscall(
			`link ${showPath(link)} to ${shown}`,
			nr.SYS_linkat,
			[fcntl.AT_FDCWD, toCString(link), fcntl.AT_FDCWD, at, 0],
			{
				remedies: {
					ENOENT: "the link that the dump made, or its directory, was removed: copy it back",
					EEXIST: "somebody just made a file of that name: try again",
					EXDEV: "the link that the dump made is on another file system now: put both on one",
					EROFS: "the file system is read-only: mount it writable for the restore",
					EPERM: "hard links to the file aren't allowed: run as root, and check its attributes with lsattr",
				},
			},
		);
		const handle = program.syscall(`find ${shown}`, nr.SYS_openat, [
			fcntl.AT_FDCWD,
			at,
			fcntl.O_PATH | fcntl.O_NOFOLLOW,
			0,
		]);
		program.syscall(`unlink ${shown}`, nr.SYS_unlink, [at]);
		folders?.removeAll();
		removeAfterwards(remapId, link, plan, context);
		return { plan, number: keptFilesOf(plan).keep(program, handle) };
	});
}

/** A ghost has the type of the file that it stands for; a named pipe is one for handles only. @throws ImageError */
function checkGhostType(reg: reg_file_entry, ghostId: number, context: RestoreContext, as: Opened): void {
	const { head, file } = readGhost(ghostId, context);
	const type = head.mode & S_IFMT;
	const differs = hasField(reg, "mode") && (reg.mode & S_IFMT) !== type;
	const isUnexpected = (type === S_IFIFO) !== (as === "fifo") && (reg.flags & fcntl.O_PATH) === 0;
	if (differs || isUnexpected) throw corruptImage(file, `its type 0${type.toString(8)} isn't that of file ${reg.id}`);
}

function planRemapped(
	program: Program,
	reg: reg_file_entry,
	flags: number,
	plan: TaskPlan,
	context: RestoreContext,
	as: Opened,
): OpRef | undefined {
	const ofDead = planOfDeadProcess(program, reg, toOpenFlags(flags), plan, context);
	if (ofDead !== undefined) return ofDead;
	const remap = readRemaps(context).get(reg.id);
	if (remap === undefined) return undefined;
	if (remap.type === remap_type.GHOST) {
		checkGhostType(reg, remap.id, context, as);
		const isLink = (readGhost(remap.id, context).head.mode & S_IFMT) === S_IFLNK;
		const ghost = planGhost(program, remap.id, reg.name, plan, context);
		return openKept(program, ghost, flags, reg.name, plan, isLink);
	}
	if (remap.type === remap_type.LINKED)
		return openKept(program, planLinked(program, remap.id, reg.name, plan, context), flags, reg.name, plan, true);
	throw corruptImage("remap-fpath.img", `type ${remap.type}`);
}

/**
 * Adds what opens a REG entry with the given open(2) flags. Position and owner are the caller's business.
 *
 * @throws ImageError, UnsupportedError, CriuError FILE_MISSING, FILE_CHANGED
 */
export function planOpenReg(
	program: Program,
	id: number,
	flags: number,
	plan: TaskPlan,
	context: RestoreContext,
	as: Opened = "file",
): OpRef {
	const reg = getRegFile(id, context.files.get(id));
	const inherited = planInheritedAgain(program, reg, flags, context.options, plan);
	if (inherited !== undefined) return inherited;
	if (reg.ext)
		throw new CriuError("NEEDS_INHERIT_FD", `file ${keyOfPath(reg)} was external to the dump`, {
			remedy: `give a descriptor for it: --inherit-fd fd[N]:${keyOfPath(reg)}`,
		});
	const remapped = planRemapped(program, reg, flags, plan, context, as);
	if (remapped !== undefined) return remapped;
	const inProc = isProcPath(reg.name);
	// Files of /proc may belong to the very process that is to be made.
	if (!inProc && !planTmpfsFile(program, reg.name, plan, context))
		context.once(`unchanged:${id}`, () => checkUnchanged(reg, reg.name, context, as));
	// What they lead to can't be known before: none of them must make us wait.
	const waitless = inProc && (flags & (fcntl.O_PATH | fcntl.O_NONBLOCK)) === 0;
	const path = toCString(reg.name);
	const wanted = waitless ? flags | fcntl.O_NONBLOCK : flags;
	const what = () => `open ${showPath(reg.name)}`;
	const fd = planOpenCall(program, what, path, wanted, plan, { remedies: OPEN_REMEDIES });
	if (waitless) program.syscall("let it wait again", nr.SYS_fcntl, [fd, fcntl.F_SETFL, flags]);
	return fd;
}

/**
 * Adds what makes all files without a name. The first task does that before any task opens files, whoever has them.
 *
 * @throws ImageError, UnsupportedError
 */
export function planNameless(program: Program, plan: TaskPlan, context: RestoreContext): void {
	for (const [origId, { type, id }] of readRemaps(context)) {
		const { name } = getRegFile(origId, context.files.get(origId));
		if (type === remap_type.GHOST) planGhost(program, id, name, plan, context);
		else if (type === remap_type.LINKED) planLinked(program, id, name, plan, context);
	}
	for (const { reg } of context.files.values())
		if (reg !== undefined && !reg.ext) planTmpfsFile(program, reg.name, plan, context);
}
