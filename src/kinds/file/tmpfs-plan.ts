// SPDX-License-Identifier: GPL-2.0-only
// Files of a tmpfs, restore half: what's missing is made of the images; what is there stays and is used as it is.
// A file is made under a name of our own and gets its real one by a link, so that nobody else's is ever replaced or removed.
// Images: tmpfs-files, tmpfs-file-ID (ours). Source: link(2), statfs(2).

import type { Program } from "../../agent/program.ts";
import { CriuError, isErrno } from "../../errors.ts";
import type { tmpfs_file_entry, tmpfs_folder_entry } from "../../images/gen/file_pb.ts";
import { KINDS } from "../../images/index.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { TMPFS_MAGIC } from "../../kernel/abi/magic.ts";
import { S_IFMT, S_IFREG } from "../../kernel/abi/stat.ts";
import { Statfs } from "../../kernel/abi/stat.x86_64.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { showPath, statPath, toCString } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";
import { concatBytes } from "./file-path.ts";
import { planAttributes, planContent, readContent } from "./ghost-plan.ts";
import { checkPath, corruptImage } from "./image-checks.ts";
import { removeAfterwards, removeLink } from "./link-remap.ts";
import { isTaken, removeFolder } from "./missing-folders.ts";

const FILE = "tmpfs-files";
const SLASH = 0x2f;
const MODE_BITS = 0o7777;
/** Names of links to be removed are numbered; these come behind those of files.img. */
const FIRST_LINK = 1 << 30;

function folderOf(path: Uint8Array): Uint8Array {
	return path.subarray(0, Math.max(path.lastIndexOf(SLASH), 1));
}

function keyOf(path: Uint8Array): string {
	return Buffer.from(path).toString("latin1");
}

function readFiles(context: RestoreContext): ReadonlyMap<string, tmpfs_file_entry> {
	return context.once("tmpfs-files", () => {
		const files = new Map<string, tmpfs_file_entry>();
		for (const entry of context.dir.readEntries(KINDS.TMPFS_FILES)) {
			checkPath(FILE, `path of ${entry.id}`, entry.path);
			for (const { path, mode } of entry.folder) {
				checkPath(FILE, `folder of ${entry.id}`, path);
				if ((mode & ~MODE_BITS) !== 0) throw corruptImage(FILE, `mode of ${showPath(path)} is ${mode}`);
			}
			files.set(keyOf(entry.path), entry);
		}
		return files;
	});
}

function isOnTmpfs(path: Uint8Array): boolean {
	const buffer = new Uint8Array(Statfs.size);
	if (syscall(nr.SYS_statfs, toCString(path), buffer) < 0) return false;
	return Statfs.read(new DataView(buffer.buffer), 0).f_type === BigInt(TMPFS_MAGIC);
}

/** Folders that are missing above a file, outermost first, as the images tell of them. @throws CriuError, ImageError */
function findFolders(entry: tmpfs_file_entry): tmpfs_folder_entry[] {
	const known = new Map(entry.folder.map((folder) => [keyOf(folder.path), folder]));
	const missing: tmpfs_folder_entry[] = [];
	let at = folderOf(entry.path);
	for (; !isTaken(at); at = folderOf(at)) {
		const folder = known.get(keyOf(at));
		if (folder === undefined)
			throw new CriuError("FILE_MISSING", `${showPath(at)}, the folder of ${showPath(entry.path)}, doesn't exist`, {
				remedy: "make it again",
			});
		missing.unshift(folder);
	}
	// Images may only fill such a file system.
	if (isOnTmpfs(at)) return missing;
	throw new CriuError("FILE_MISSING", `${showPath(entry.path)} doesn't exist, and ${showPath(at)} is no tmpfs`, {
		remedy: "mount a tmpfs there, or copy the file back",
	});
}

/** Takes back what a failed restore has made: the name only when it's that of our file. */
function undoFile(ours: Uint8Array, name: Uint8Array): void {
	try {
		const [a, b] = [statPath(ours, { follow: false }), statPath(name, { follow: false })];
		if (a.ino === b.ino && a.devMajor === b.devMajor && a.devMinor === b.devMinor) removeLink(name);
	} catch (error) {
		if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
	}
	removeLink(ours);
}

const REMEDIES = {
	ENOSPC: "make room on the tmpfs, or mount it with a larger size",
	EROFS: "the file system is read-only: mount it writable for the restore",
	EEXIST: "somebody just made a file of that name: try again",
} as const;

function makeFolders(program: Program, entry: tmpfs_file_entry, plan: TaskPlan, context: RestoreContext): void {
	for (const { path, mode, uid, gid } of findFolders(entry))
		context.once(`tmpfs-folder:${keyOf(path)}`, () => {
			const name = toCString(path);
			program.syscall(`create ${showPath(path)}`, nr.SYS_mkdir, [name, 0o700], { remedies: REMEDIES });
			program.syscall("set its owner", nr.SYS_chown, [name, uid, gid]);
			program.syscall("set its mode", nr.SYS_chmod, [name, mode]);
			// Inner ones are noted later and have to go first.
			plan.undo.unshift(() => removeFolder(path));
		});
}

function makeFile(program: Program, entry: tmpfs_file_entry, plan: TaskPlan, context: RestoreContext): void {
	const content = readContent(KINDS.TMPFS_FILE, entry.id, context);
	if ((content.head.mode & S_IFMT) !== S_IFREG) throw corruptImage(content.file, "holds no regular file");
	makeFolders(program, entry, plan, context);
	const run = context.once("tmpfs-run", () => crypto.randomUUID());
	const ours = concatBytes(folderOf(entry.path), new TextEncoder().encode(`/.criu.${run}.${entry.id}`));
	const [from, to] = [toCString(ours), toCString(entry.path)];
	const shown = showPath(entry.path);
	const flags = fcntl.O_RDWR | fcntl.O_CREAT | fcntl.O_EXCL | fcntl.O_NOFOLLOW | fcntl.O_LARGEFILE;
	plan.undo.unshift(() => undoFile(ours, entry.path));
	const fd = program.syscall(`make ${shown} again`, nr.SYS_openat, [fcntl.AT_FDCWD, from, flags, 0o600], {
		remedies: REMEDIES,
	});
	planContent(program, content, fd, plan, context);
	planAttributes(program, content.head, fd);
	program.syscall(`give ${shown} its name`, nr.SYS_linkat, [fcntl.AT_FDCWD, from, fcntl.AT_FDCWD, to, 0], {
		remedies: REMEDIES,
	});
	program.syscall(`close ${shown}`, nr.SYS_close, [fd]);
	removeAfterwards(FIRST_LINK + entry.id, ours, plan, context);
}

/**
 * Adds what makes a file that the images hold and that is missing, once for all tasks. False: it's there, or isn't held.
 *
 * @throws ImageError, CriuError FILE_MISSING
 */
export function planTmpfsFile(program: Program, name: Uint8Array, plan: TaskPlan, context: RestoreContext): boolean {
	const files = readFiles(context);
	const entry = files.size === 0 ? undefined : files.get(keyOf(name));
	if (entry === undefined) return false;
	const maker = context.once(`tmpfs-made:${keyOf(name)}`, () => {
		if (isTaken(name)) return undefined;
		makeFile(program, entry, plan, context);
		return plan;
	});
	if (maker === undefined) return false;
	if (maker !== plan) plan.awaits.add(maker.pid);
	return true;
}
