// SPDX-License-Identifier: GPL-2.0-only
// Ghosts, dump half: files without a name travel inside the images, their content as the extents that hold data.
// Images: ghost-file-ID.img, remap-fpath.img. Source: lseek(2) SEEK_DATA, sendfile(2).

import { BugError, type CriuError, isErrno, KernelError, UnsupportedError } from "../../errors.ts";
import {
	type ghost_chunk_entry,
	ghost_chunk_entrySchema,
	type ghost_file_entry,
	ghost_file_entrySchema,
	type remap_file_path_entry,
	remap_file_path_entrySchema,
	type remap_type,
	timevalSchema,
} from "../../images/gen/file_pb.ts";
import { create, type ImageDir, type ImageWriter, KINDS } from "../../images/index.ts";
import { toKernelDev, toUserDev } from "../../kernel/abi/devices.ts";
import { O_ACCMODE, O_NOATIME, O_PATH, O_WRONLY, SEEK_DATA, SEEK_HOLE } from "../../kernel/abi/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from "../../kernel/abi/stat.ts";
import { SYS_lseek, SYS_sendfile } from "../../kernel/abi/syscalls.x86_64.ts";
import { log } from "../../log.ts";
import { DEFAULT_GHOST_LIMIT } from "../../options.ts";
import { type FileStat, openAt, readLinkAt, scopedFd } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import { copyToStream } from "../../sys/stream-io.ts";
import type { DumpContext } from "../kind.ts";
import type { NamedFile } from "./file-path.ts";
import { isLeased } from "./locks.ts";
import { collectFds } from "./open-files.ts";
import { copySilently } from "./silent-read.ts";
import { isWatched } from "./watches.ts";

/** From this size on the content is stored in chunks. */
export const CHUNKED_FROM = 12288n;
const MAX_CHUNK = 1n << 30n;
const ENXIO = 6;
const EINVAL = 22;

/** A part of a file that holds data. */
export interface Extent {
	off: bigint;
	len: bigint;
}

/** Bytes on disk. */
function allocated(stat: FileStat): bigint {
	return stat.blocks * 512n;
}

/** What stops a dump of a file without a name. `object` names it. */
export function findGhostBlockers(file: NamedFile, object: string, context: DumpContext): CriuError[] {
	const type = file.stat.mode & S_IFMT;
	if (![S_IFREG, S_IFDIR, S_IFLNK, S_IFSOCK, S_IFIFO, S_IFCHR, S_IFBLK].includes(type))
		return [
			new UnsupportedError("UNSUPPORTED_FILE", `${object} was deleted, and it is no plain file or directory`, {
				remedy: "close the file in the program first",
			}),
		];
	const { ghostLimit } = context.options;
	const size = allocated(file.stat);
	if (type !== S_IFREG || size <= BigInt(ghostLimit ?? DEFAULT_GHOST_LIMIT)) return [];
	if (ghostLimit === undefined) {
		log.warn(`${object} was deleted: its ${size} bytes go into the images`);
		return [];
	}
	return [
		new UnsupportedError(
			"GHOST_TOO_LARGE",
			`${object} was deleted and takes ${size} bytes, more than the limit of ${ghostLimit}`,
			{ remedy: `use --ghost-limit ${size} or more, or none: the content then goes into the images` },
		),
	];
}

/**
 * The extents of a file that hold data, in order; the whole file where the file system can't tell. None is longer than
 * 1 GiB. @throws KernelError
 */
export function* findExtents(fd: number, size: bigint): Generator<Extent, void, undefined> {
	let at = 0n;
	while (at < size) {
		let data = syscall(SYS_lseek, fd, at, SEEK_DATA);
		if (data === -ENXIO) return;
		let end = size;
		if (data === -EINVAL) data = Number(at);
		else if (data < 0) throw new KernelError("lseek", -data, "SEEK_DATA in a deleted file");
		else {
			const hole = syscall(SYS_lseek, fd, data, SEEK_HOLE);
			if (hole < 0) throw new KernelError("lseek", -hole, "SEEK_HOLE in a deleted file");
			if (BigInt(hole) < size) end = BigInt(hole);
		}
		yield* splitExtent(BigInt(data), end);
		at = end;
	}
}

function* splitExtent(start: bigint, end: bigint): Generator<Extent, void, undefined> {
	for (let off = start; off < end; off += MAX_CHUNK) yield { off, len: end - off < MAX_CHUNK ? end - off : MAX_CHUNK };
}

/** Copies a part of a file to the position of another, in the kernel. @throws KernelError */
export function copyExtent(from: number, to: number, extent: Extent): void {
	const offset = new BigUint64Array([extent.off]);
	for (let left = extent.len; left > 0n; ) {
		const done = syscall(SYS_sendfile, to, from, offset, left);
		if (done < 0) throw new KernelError("sendfile", -done, "of a deleted file to its image");
		if (done === 0) throw new KernelError("sendfile", 5, "of a deleted file: it shrank meanwhile");
		left -= BigInt(done);
	}
}

/** A readable descriptor for a file of which we may have only an O_PATH or write-only one. */
function reopen(fd: number): number {
	try {
		return openAt(`/proc/self/fd/${fd}`, O_NOATIME);
	} catch (error) {
		if (!isErrno(error, "EPERM")) throw error;
		return openAt(`/proc/self/fd/${fd}`, 0);
	}
}

const toTimeval = (time: { sec: bigint; nsec: number }) =>
	create(timevalSchema, { tvSec: BigInt.asUintN(64, time.sec), tvUsec: BigInt(Math.floor(time.nsec / 1000)) });

/** Writes ghost-file-ID.img. `isReadable`: the descriptor shares one of the program and is read as it is. @throws KernelError, ImageError */
export function writeGhost(dir: ImageDir, id: number, fd: number, stat: FileStat, isReadable = false): void {
	using writer = dir.writer(KINDS.GHOST_FILE, id);
	writeContent(writer, fd, stat, isReadable);
}

/** Writes what an image of that form holds: attributes and content of a file. @throws KernelError, ImageError */
export function writeContent(
	writer: ImageWriter<ghost_chunk_entry, ghost_file_entry>,
	fd: number,
	stat: FileStat,
	isReadable: boolean,
): void {
	const type = stat.mode & S_IFMT;
	const isRegular = type === S_IFREG;
	const isDevice = type === S_IFCHR || type === S_IFBLK;
	const isChunked = isRegular && stat.size >= CHUNKED_FROM;
	writer.writeHead(
		create(ghost_file_entrySchema, {
			uid: stat.uid,
			gid: stat.gid,
			mode: stat.mode,
			dev: toKernelDev(stat.devMajor, stat.devMinor),
			ino: stat.ino,
			...(type === S_IFLNK ? { symlnkTarget: readLinkAt("", fd) } : {}),
			...(isDevice ? { rdev: Number(toUserDev(stat.rdevMajor, stat.rdevMinor)) } : {}),
			atim: toTimeval(stat.atime),
			mtim: toTimeval(stat.mtime),
			...(isChunked ? { chunks: true, size: stat.size } : {}),
		}),
	);
	if (isRegular && stat.size > 0n) {
		using source = isReadable ? { fd, [Symbol.dispose]: () => {} } : scopedFd(reopen(fd));
		// The position of the program's own descriptor isn't ours to move.
		const extents = isChunked && !isReadable ? findExtents(source.fd, stat.size) : splitExtent(0n, stat.size);
		for (const extent of extents) {
			if (isChunked) writer.writeMessage(ghost_chunk_entrySchema, create(ghost_chunk_entrySchema, extent));
			const stream = writer.openStream(Number(extent.len));
			if (stream.hasPositions && syscall(SYS_lseek, stream.fd, stream.offset, 0) < 0)
				throw new BugError("an image can't be positioned");
			if (isReadable) copySilently(source.fd, stream.fd, extent.off, extent.len);
			else if (stream.hasPositions) copyExtent(source.fd, stream.fd, extent);
			else copyToStream(source.fd, extent.off, stream.fd, extent.len);
			writer.skip(Number(extent.len));
		}
	}
	writer.close();
}

/** Notes that a REG entry's file is to be found elsewhere; remap-fpath.img is written at the end. */
export function addRemap(context: DumpContext, origId: number, remapId: number, type: remap_type): void {
	const remaps = context.once("remap-fpath", () => {
		const list: remap_file_path_entry[] = [];
		context.files.atEnd((dir) => dir.writeEntries(KINDS.REMAP_FPATH, undefined, list));
		return list;
	});
	remaps.push(create(remap_file_path_entrySchema, { origId, remapId, remapType: type }));
}

/**
 * A descriptor of ours that shares one of the tree which can read, for a file that must not be opened: that would break a lease,
 * or tell those who watch it. Undefined when the file may be opened, or has to be.
 */
export function findReadable(file: NamedFile, context: DumpContext): number | undefined {
	const { stat, link, task } = file;
	if (!isLeased(stat, context) && !isWatched(stat, link, task, context)) return undefined;
	for (const holder of context.tasks)
		for (const { stat: other, info, ownFd } of collectFds(holder, context)) {
			const isSame = other.ino === stat.ino && other.devMajor === stat.devMajor && other.devMinor === stat.devMinor;
			if (isSame && (info.flags & O_PATH) === 0 && (info.flags & O_ACCMODE) !== O_WRONLY) return ownFd;
		}
	return undefined;
}

/** Puts a file without a name into the images, once for each inode. Gives the id of the ghost. */
export function dumpGhost(file: NamedFile, context: DumpContext): number {
	const { stat, ownFd } = file;
	return context.once(`ghost:${stat.devMajor}:${stat.devMinor}:${stat.ino}`, () => {
		const ids = context.once("ghost-ids", () => ({ next: 1 }));
		const id = ids.next++;
		if (context.dir === undefined) throw new BugError("a preflight must not write a ghost");
		const readable = findReadable(file, context);
		writeGhost(context.dir, id, readable ?? ownFd, stat, readable !== undefined);
		return id;
	});
}
