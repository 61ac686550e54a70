// SPDX-License-Identifier: GPL-2.0-only
// Pages that newer images hold as well are freed in older ones: holes in the pages files, whose lengths stay. Source: fallocate(2).

import { constants, openSync } from "node:fs";
import { ImageError, KernelError, messageOf } from "../errors.ts";
import type { pagemap_entry, pagemap_head } from "../images/gen/mm_pb.ts";
import { type ImageDir, type ImageId, type ImageKind, imageFileName, KINDS } from "../images/index.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, SEEK_DATA, SEEK_HOLE } from "../kernel/abi/fcntl.ts";
import { SYS_fallocate, SYS_lseek } from "../kernel/abi/syscalls.x86_64.ts";
import { log } from "../log.ts";
import { closeFd, statFd } from "../sys/file.ts";
import { syscall } from "../sys/host.ts";
import { PAGES_ZSTD } from "./compressed.ts";
import { refuseMapped } from "./mappable.ts";
import { listHeld, listRanges, PE_PARENT, PE_PRESENT } from "./pagemap.ts";
import { appendRange, intersect, type Ranges } from "./ranges.ts";

const ENXIO = 6;
const MAX_LEVELS = 256;

type PagemapKind = ImageKind<pagemap_entry, pagemap_head>;

/** How many bytes of a part of a file aren't holes; all of them where the file system can't tell. */
function countData(fd: number, offset: bigint, bytes: bigint): bigint {
	const end = offset + bytes;
	let data = 0n;
	for (let at = offset; at < end; ) {
		const from = syscall(SYS_lseek, fd, at, SEEK_DATA);
		if (from === -ENXIO || from >= end) break;
		const to = from < 0 ? -1 : syscall(SYS_lseek, fd, from, SEEK_HOLE);
		if (to <= from) return data + (end - at);
		at = BigInt(to) < end ? BigInt(to) : end;
		data += at - BigInt(from);
	}
	return data;
}

/** Frees a part of a pages file. @throws KernelError EOPNOTSUPP where the file system can't */
function punch(fd: number, offset: bigint, bytes: bigint): void {
	const ret = syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
	if (ret < 0)
		throw new KernelError("fallocate", -ret, "of a pages image", {
			remedy: "keep images on a file system with holes (ext4, xfs, btrfs, tmpfs), or leave deduplication out",
		});
}

/** Opens a pages file of older images to be freed in parts; undefined when there is none. */
function openPages(dir: ImageDir, pagesId: number): number | undefined {
	const name = `pages-${pagesId}.img`;
	const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
	try {
		const fd = openSync(`/proc/self/fd/${dir.descriptor}/${name}`, flags);
		if ((statFd(fd).mode & 0o170000) === 0o100000) {
			try {
				refuseMapped(fd, name);
			} catch (error) {
				closeFd(fd);
				throw error;
			}
			return fd;
		}
		closeFd(fd);
	} catch (error) {
		if (error instanceof ImageError) throw error;
		if ((error as NodeJS.ErrnoException).code === "ENOENT") {
			if (dir.exists(PAGES_ZSTD, pagesId))
				log.warn(`${imageFileName(PAGES_ZSTD, pagesId)} is compressed: nothing of it is freed`);
			return undefined;
		}
		throw new ImageError("IMAGE_WRITE", `cannot open image ${name} to free pages of it`, {
			file: name,
			cause: error,
			remedy: "check that criu may write to the older images",
		});
	}
	return undefined;
}

/** Frees what newer images have in those of this directory, and in all that these build on. Gives the pages freed, not those that were holes. */
function punchLevel(dir: ImageDir, kind: PagemapKind, id: ImageId, newer: Ranges, level: number): bigint {
	const pagemap = level > MAX_LEVELS ? undefined : dir.findHeaded(kind, id);
	if (pagemap === undefined || newer.length === 0) return 0n;
	let offset = 0n;
	let freed = 0n;
	const fd = openPages(dir, pagemap.head.pagesId);
	try {
		const size = fd === undefined ? 0n : statFd(fd).size;
		let at = 0;
		for (const { start, end, flags } of listRanges(imageFileName(kind as ImageKind, id), pagemap.entries)) {
			while (at < newer.length && (newer[at]?.end ?? 0n) <= start) at++;
			if ((flags & PE_PARENT) !== 0 || (flags & PE_PRESENT) === 0) continue;
			for (const part of intersect([{ start, end }], newer.slice(at, findEnd(newer, at, end)))) {
				const from = offset + (part.start - start);
				const bytes = part.end - part.start;
				if (fd === undefined || from + bytes > size) continue;
				const before = countData(fd, from, bytes);
				if (before === 0n) continue;
				punch(fd, from, bytes);
				freed += (before - countData(fd, from, bytes)) / 4096n;
			}
			offset += end - start;
		}
	} finally {
		if (fd !== undefined) closeFd(fd);
	}
	using parent = dir.openParent();
	return parent === undefined ? freed : freed + punchLevel(parent, kind, id, newer, level + 1);
}

/** Where the ranges end that begin before an address. */
function findEnd(ranges: Ranges, from: number, address: bigint): number {
	let at = from;
	while (at < ranges.length && (ranges[at]?.start ?? address) < address) at++;
	return at;
}

/**
 * Frees in older images what a pagemap of this directory has. Gives the pages freed.
 *
 * @throws ImageError, KernelError
 */
export function punchOlder(dir: ImageDir, kind: PagemapKind, id: ImageId): bigint {
	using parent = dir.openParent();
	const pagemap = parent === undefined ? undefined : dir.findHeaded(kind, id);
	if (parent === undefined || pagemap === undefined) return 0n;
	const own: Ranges = [];
	for (const { start, end, flags } of listRanges(imageFileName(kind as ImageKind, id), pagemap.entries))
		if ((flags & PE_PARENT) === 0 && (flags & PE_PRESENT) !== 0) appendRange(own, start, end);
	return punchLevel(parent, kind, id, own, 1);
}

/** Runs what frees pages once all else is done: the work isn't undone, nor said to have failed, because that fails. */
export function freeAfterwards(where: string, free: () => bigint): void {
	try {
		log.info(`${free()} pages freed in ${where}`);
	} catch (error) {
		log.warn(`pages can't be freed in ${where}: ${messageOf(error)}`);
	}
}

/** Frees all pages of the images of this directory, and what those that they build on have of them: they have been restored. */
export function freeAll(dir: ImageDir): bigint {
	let freed = 0n;
	for (const { kind, id } of listPagemaps(dir)) {
		const entries = dir.findHeaded(kind, id)?.entries ?? [];
		freed += punchLevel(dir, kind, id, listHeld(imageFileName(kind as ImageKind, id), entries), 0);
	}
	return freed;
}

function* listPagemaps(dir: ImageDir): Generator<{ kind: PagemapKind; id: bigint }> {
	for (const name of dir.list()) {
		const [, shared, id] = /^pagemap-(shmem-)?(\d+)\.img$/.exec(name) ?? [];
		if (id !== undefined) yield { kind: shared === undefined ? KINDS.PAGEMAP : KINDS.SHMEM_PAGEMAP, id: BigInt(id) };
	}
}

/**
 * Frees in older images all that the images of this directory have as well. Gives the pages freed.
 *
 * @throws ImageError, KernelError
 */
export function dedup(dir: ImageDir): bigint {
	let freed = 0n;
	for (const { kind, id } of listPagemaps(dir)) freed += punchOlder(dir, kind, id);
	return freed;
}
