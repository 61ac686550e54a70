// SPDX-License-Identifier: GPL-2.0-only
// Ghosts, restore half: the file is made under its old name, unlinked at once, then filled. What opens it later goes
// through the descriptor that is kept. Folders that are gone, too, are there while what was in them is made.
// Images: ghost-file-ID.img. Source: open(2), sendfile(2), utimensat(2).

import type { Arg, Program } from "../../agent/program.ts";
import { ghost_chunk_entrySchema, type ghost_file_entry, remap_type } from "../../images/gen/file_pb.ts";
import { hasField, type ImageKind, imageFileName, KINDS } from "../../images/index.ts";
import { fromUserDev } from "../../kernel/abi/devices.ts";
import * as fcntl from "../../kernel/abi/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from "../../kernel/abi/stat.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { showPath, toCString } from "../../sys/file.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";
import { concatBytes, startsWith } from "./file-path.ts";
import type { Extent } from "./ghost-dump.ts";
import { checkPath, corruptImage, PATH_MAX } from "./image-checks.ts";
import { type KeptRef, keptFilesOf, ownFdPath } from "./kept-files.ts";
import { findMissingFolder, isTaken, MissingFolders } from "./missing-folders.ts";
import { readRemaps } from "./remaps.ts";

const MAX_SIZE = (1n << 63n) - 1n;
const MAX_PIECE = 1n << 30n;
const NO_ID = 0xffffffff;
const NSEC_PER_USEC = 1000n;
const SLASH = new Uint8Array([0x2f]);
const NODE_TYPES: readonly number[] = [S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK];

/** A part of the content: where it lies in the image and where it goes. */
interface Piece extends Extent {
	readonly imageOffset: bigint;
}

/** A ghost as its image tells. */
export interface GhostImage {
	readonly id: number;
	readonly file: string;
	readonly head: ghost_file_entry;
	readonly size: bigint;
	readonly pieces: readonly Piece[];
}

function* splitPiece(off: bigint, len: bigint, imageOffset: bigint): Generator<Piece> {
	for (let at = 0n; at < len; at += MAX_PIECE) {
		const left = len - at;
		yield { off: off + at, len: left < MAX_PIECE ? left : MAX_PIECE, imageOffset: imageOffset + at };
	}
}

/** Reads and checks the image of a ghost; the content stays where it is. @throws ImageError */
export function readGhost(id: number, context: RestoreContext): GhostImage {
	return readContent(KINDS.GHOST_FILE, id, context);
}

/** The same for any image of that form. @throws ImageError */
export function readContent(
	kind: typeof KINDS.GHOST_FILE | typeof KINDS.TMPFS_FILE,
	id: number,
	context: RestoreContext,
): GhostImage {
	const file = imageFileName(kind as ImageKind, id);
	return context.once(`content:${file}`, () => {
		using reader = context.dir.getReader(kind, id);
		const head = reader.readHead();
		const pieces: Piece[] = [];
		if (head.uid === NO_ID || head.gid === NO_ID) throw corruptImage(file, "the owner is no id");
		if ((head.mode & S_IFMT) !== S_IFREG) {
			if (reader.remaining > 0) throw corruptImage(file, "content of what is no regular file");
			return { id, file, head, size: 0n, pieces };
		}
		if (!head.chunks) {
			const size = BigInt(reader.remaining);
			pieces.push(...splitPiece(0n, size, BigInt(reader.offset)));
			return { id, file, head, size, pieces };
		}
		const { size } = head;
		if (!hasField(head, "size") || size > MAX_SIZE) throw corruptImage(file, "size is missing or too large");
		let end = 0n;
		let chunk = reader.nextMessage(ghost_chunk_entrySchema);
		for (; chunk !== undefined; chunk = reader.nextMessage(ghost_chunk_entrySchema)) {
			const { off, len } = chunk;
			if (len === 0n || off < end || off > size || len > size - off)
				throw corruptImage(file, `chunk of ${len} bytes at ${off}`);
			end = off + len;
			const payload = reader.takePayload(Number(len));
			pieces.push(...splitPiece(off, len, BigInt(payload.offset)));
		}
		return { id, file, head, size, pieces };
	});
}

/** Bytes of program that all ghosts of a dump may take. @throws ImageError */
export function estimateGhostPrograms(context: RestoreContext, ids: Iterable<number>): number {
	const perPiece = 256;
	let bytes = 0;
	for (const id of ids) bytes += (readGhost(id, context).pieces.length + 16) * perPiece;
	return bytes;
}

function timesOf({ atim, mtim }: ghost_file_entry): Uint8Array | undefined {
	if (atim === undefined || mtim === undefined) return undefined;
	const times = new BigUint64Array([
		atim.tvSec,
		(atim.tvUsec % 1_000_000n) * NSEC_PER_USEC,
		mtim.tvSec,
		(mtim.tvUsec % 1_000_000n) * NSEC_PER_USEC,
	]);
	return new Uint8Array(times.buffer);
}

const CREATE_REMEDIES = {
	ENOENT: "the directory of the deleted file is gone: create it again",
	EEXIST: "somebody just made a file of that name: try again",
	EROFS: "the file system is read-only: mount it writable for the restore",
	ENOSPC: "make room on the file system",
	EDQUOT: "raise the quota",
} as const;

/** Adds what gives an empty file its size and content. */
export function planContent(
	program: Program,
	ghost: GhostImage,
	fd: Arg,
	plan: TaskPlan,
	context: RestoreContext,
): void {
	const { file, size, pieces } = ghost;
	const remedies = {
		ENOSPC: "make room on the file system",
		EDQUOT: "raise the quota",
		EFBIG: "its file system takes no file of that size: put its directory on another one",
		EINVAL: "its file system takes no file of that size: put its directory on another one",
	};
	program.syscall("give the file its size", nr.SYS_ftruncate, [fd, size], { remedies });
	if (pieces.length === 0) return;
	const image = plan.numbers.pass(openImage(file, context), file);
	for (const { off, len, imageOffset } of pieces) {
		const from = new Uint8Array(new BigUint64Array([imageOffset]).buffer);
		program.syscall("go to the next data", nr.SYS_lseek, [fd, off, fcntl.SEEK_SET]);
		program.syscall(`copy ${len} bytes from ${file}`, nr.SYS_sendfile, [fd, image, from, len], {
			check: { equal: len },
			remedies: { ...remedies, "": "make room on the file system" },
		});
	}
	program.syscall(`close ${file}`, nr.SYS_close, [image]);
}

function openImage(file: string, context: RestoreContext): number {
	const fd = context.dir.openFile(file);
	if (fd === undefined) throw corruptImage(file, "it vanished while it was read");
	return fd;
}

/** Adds what sets owner, mode and times of an open file. */
export function planAttributes(program: Program, head: ghost_file_entry, fd: Arg): void {
	program.syscall("set the file's owner", nr.SYS_fchown, [fd, head.uid, head.gid]);
	program.syscall("set the file's mode", nr.SYS_fchmod, [fd, head.mode & 0o7777]);
	const times = timesOf(head);
	if (times !== undefined) program.syscall("set the file's times", nr.SYS_utimensat, [fd, 0, times, 0]);
}

/** A file that exists without a name, under the number that keeps it; `fill` gives it its content and attributes. */
interface Made {
	readonly number: number;
	fill(): void;
}

function makeRegular(
	program: Program,
	ghost: GhostImage,
	path: Uint8Array,
	plan: TaskPlan,
	context: RestoreContext,
): Made {
	const kept = keptFilesOf(plan);
	const shown = showPath(path);
	const name = toCString(path);
	const flags = fcntl.O_RDWR | fcntl.O_CREAT | fcntl.O_EXCL | fcntl.O_NOFOLLOW | fcntl.O_LARGEFILE;
	const made = program.syscall(`create ${shown}`, nr.SYS_openat, [fcntl.AT_FDCWD, name, flags, 0o600], {
		remedies: CREATE_REMEDIES,
	});
	// At once: whatever happens from here on, nothing stays on disk.
	program.syscall(`unlink ${shown}`, nr.SYS_unlink, [name]);
	const number = kept.keep(program, made);
	const fill = () => {
		const writable = program.syscall("write to the deleted file", nr.SYS_fcntl, [number, fcntl.F_DUPFD, 0]);
		planContent(program, ghost, writable, plan, context);
		planAttributes(program, ghost.head, writable);
		const handle = program.syscall("keep the deleted file without write access", nr.SYS_openat, [
			fcntl.AT_FDCWD,
			ownFdPath(number),
			fcntl.O_PATH,
			0,
		]);
		// An open writer would forbid to execute it.
		kept.replace(program, number, handle);
		program.syscall("close the writable copy", nr.SYS_close, [writable]);
	};
	return { number, fill };
}

function createNode(program: Program, { head, file }: GhostImage, path: Uint8Array): void {
	const what = `create ${showPath(path)}`;
	const name = toCString(path);
	const type = head.mode & S_IFMT;
	const options = { remedies: CREATE_REMEDIES };
	if (type === S_IFDIR) program.syscall(what, nr.SYS_mkdir, [name, 0o700], options);
	else if (type === S_IFLNK) {
		const target = head.symlnkTarget;
		if (target.length === 0 || target.length >= PATH_MAX || target.includes(0))
			throw corruptImage(file, "a symbolic link to nowhere");
		program.syscall(what, nr.SYS_symlink, [toCString(target), name], options);
	} else if (NODE_TYPES.includes(type)) {
		const { major, minor } = fromUserDev(BigInt(head.rdev));
		const dev = (BigInt(minor) & 0xffn) | (BigInt(major) << 8n) | ((BigInt(minor) & ~0xffn) << 12n);
		program.syscall(what, nr.SYS_mknod, [name, type | 0o600, dev], options);
	} else throw corruptImage(file, `holds a file of type 0${type.toString(8)}`);
}

/** Directories and nodes: made and opened as O_PATH. Still under their name. */
function makeNode(program: Program, ghost: GhostImage, path: Uint8Array, plan: TaskPlan): Made {
	const { head } = ghost;
	createNode(program, ghost, path);
	const flags = fcntl.O_PATH | fcntl.O_NOFOLLOW;
	const handle = program.syscall(`open ${showPath(path)}`, nr.SYS_openat, [fcntl.AT_FDCWD, toCString(path), flags, 0]);
	const number = keptFilesOf(plan).keep(program, handle);
	const fill = () => {
		const own = ownFdPath(number);
		const type = head.mode & S_IFMT;
		program.syscall("set its owner", nr.SYS_chown, [own, head.uid, head.gid]);
		if (type !== S_IFLNK) program.syscall("set its mode", nr.SYS_chmod, [own, head.mode & 0o7777]);
		const times = timesOf(head);
		if (times !== undefined && type === S_IFDIR)
			program.syscall("set its times", nr.SYS_utimensat, [fcntl.AT_FDCWD, own, times, 0]);
	};
	return { number, fill };
}

function removeNode(program: Program, { head }: GhostImage, path: Uint8Array): void {
	const call = (head.mode & S_IFMT) === S_IFDIR ? nr.SYS_rmdir : nr.SYS_unlink;
	program.syscall(`remove ${showPath(path)}`, call, [toCString(path)]);
}

/** Makes a ghost by itself, under a name whose folder is there. */
function makeNameless(
	program: Program,
	ghost: GhostImage,
	path: Uint8Array,
	plan: TaskPlan,
	context: RestoreContext,
): Made {
	if ((ghost.head.mode & S_IFMT) === S_IFREG) return makeRegular(program, ghost, path, plan, context);
	const made = makeNode(program, ghost, path, plan);
	// At once: whatever happens from here on, nothing stays on disk.
	removeNode(program, ghost, path);
	return made;
}

/** All ghosts at or below a folder that is gone, by path: folders come before what was in them. */
function listFamily(top: Uint8Array, context: RestoreContext): { ghost: GhostImage; path: Uint8Array }[] {
	const found = new Map<number, Uint8Array>();
	const prefix = concatBytes(top, SLASH);
	for (const [origId, { type, id }] of readRemaps(context)) {
		const path = context.files.get(origId)?.reg?.name;
		if (type !== remap_type.GHOST || path === undefined || found.has(id)) continue;
		if (startsWith(path, prefix) || Buffer.compare(path, top) === 0) found.set(id, path);
	}
	const members = [...found].map(([id, path]) => ({ ghost: readGhost(id, context), path }));
	return members.sort((a, b) => Buffer.compare(a.path, b.path));
}

/** Makes what was in a folder that is gone, with that folder: they know each other as before. */
function planFamily(
	program: Program,
	top: Uint8Array,
	plan: TaskPlan,
	context: RestoreContext,
): ReadonlyMap<number, KeptRef> {
	const made = new Map<number, Made>();
	const folders = new MissingFolders(program, top, plan.undo);
	/** Folders that had the same path one after the other. */
	const again = new Map<string, GhostImage[]>();
	for (const { ghost, path } of listFamily(top, context)) {
		checkPath("files.img", "name of a deleted file", path);
		folders.makeAbove(path);
		if ((ghost.head.mode & S_IFMT) !== S_IFDIR) made.set(ghost.id, makeNameless(program, ghost, path, plan, context));
		else if (!folders.has(path)) {
			made.set(ghost.id, makeNode(program, ghost, path, plan));
			folders.note(path);
		} else again.set(showPath(path), [...(again.get(showPath(path)) ?? []), ghost]);
	}
	folders.removeAll((path) => {
		for (const ghost of again.get(showPath(path)) ?? [])
			made.set(ghost.id, makeNameless(program, ghost, path, plan, context));
	});
	for (const { fill } of made.values()) fill();
	return new Map([...made].map(([id, { number }]) => [id, { plan, number }]));
}

/**
 * Adds what makes a ghost, once for all tasks. Gives where it's kept, as O_PATH.
 *
 * @throws ImageError, UnsupportedError
 */
export function planGhost(
	program: Program,
	id: number,
	name: Uint8Array,
	plan: TaskPlan,
	context: RestoreContext,
): KeptRef {
	const ghost = readGhost(id, context);
	return context.once(`ghost:${id}:made`, () => {
		const taken = isTaken(name);
		const isFolder = (ghost.head.mode & S_IFMT) === S_IFDIR;
		const top = taken ? undefined : (findMissingFolder(name) ?? (isFolder ? name : undefined));
		if (top !== undefined) {
			const family = context.once(`ghosts:${showPath(top)}`, () => planFamily(program, top, plan, context));
			const ref = family.get(id);
			if (ref !== undefined) return ref;
		}
		const suffix = new TextEncoder().encode(`.cr.${id.toString(16)}.ghost`);
		const made = makeNameless(program, ghost, taken ? concatBytes(name, suffix) : name, plan, context);
		made.fill();
		return { plan, number: made.number };
	});
}
