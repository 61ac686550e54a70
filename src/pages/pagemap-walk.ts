// SPDX-License-Identifier: GPL-2.0-only
// What /proc/PID/pagemap tells of pages, for kernels that have no PAGEMAP_SCAN (before 6.7). Only the upper half of a word is looked
// at, where all flags are: numbers of 64 bits cost ten times as much. Source: admin-guide/mm/pagemap.rst.

import { MADV_DONTNEED } from "../kernel/abi/mman.ts";
import * as pm from "../kernel/abi/pagemap-scan.ts";
import { SYS_madvise } from "../kernel/abi/syscalls.x86_64.ts";
import { closeFd, openAt, readAt } from "../sys/file.ts";
import { syscall } from "../sys/host.ts";
import { mapPrivate } from "../sys/memory.ts";
import { appendRange, type Ranges } from "./ranges.ts";

const PAGE = 4096n;
/** Pages of one read. */
const CHUNK = 65536;
const upper = (bits: bigint) => Number(bits >> 32n) >>> 0;

const [PRESENT, SWAP, FILE, GUARD, SOFT_DIRTY, FRAME] = [
	pm.PM_PRESENT,
	pm.PM_SWAP,
	pm.PM_FILE,
	pm.PM_GUARD_REGION,
	pm.PM_SOFT_DIRTY,
	pm.PM_PFRAME_MASK,
].map(upper) as [number, number, number, number, number, number];

/** Halves of the words of the pages from `at` on: the lower one, then the upper. */
function readWords(pagemapFd: number, at: bigint, pages: number): Uint32Array {
	const bytes = readAt(pagemapFd, pages * 8, (at / PAGE) * 8n);
	return new Uint32Array(bytes.buffer, bytes.byteOffset, (bytes.length >> 3) * 2);
}

/**
 * Hands runs of pages that are of one sort to `take`, by address; those of sort 0 are left out. `sortOf` gets the halves of a page's
 * word.
 *
 * @throws KernelError
 */
function walk(
	pagemapFd: number,
	ranges: Iterable<{ start: bigint; end: bigint }>,
	sortOf: (low: number, high: number) => number,
	take: (start: bigint, end: bigint, sort: number) => void,
): void {
	for (const { start, end } of ranges)
		for (let at = start; at < end; at += BigInt(CHUNK) * PAGE) {
			const pages = Math.min(Number((end - at) / PAGE), CHUNK);
			const words = readWords(pagemapFd, at, pages);
			let [sort, since] = [0, 0];
			for (let i = 0; i <= pages; i++) {
				// What can't be read, as above the address space, is no memory.
				const next = i === pages ? 0 : sortOf(words[2 * i] ?? 0, words[2 * i + 1] ?? 0);
				if (next === sort) continue;
				if (sort !== 0) take(at + BigInt(since) * PAGE, at + BigInt(i) * PAGE, sort);
				[sort, since] = [next, i];
			}
		}
}

/** Word of the shared zero page: that of a page of ours which was only read. Zeros when frames are hidden. */
function findZeroFrame(): { low: number; high: number } {
	const page = mapPrivate(4096);
	const fd = openAt("/proc/self/pagemap", 0);
	try {
		// MADV_DONTNEED drops the populated page; the read below maps the zero page.
		syscall(SYS_madvise, page.address, 4096, MADV_DONTNEED);
		const words = page.bytes[0] === 0 ? readWords(fd, BigInt(page.address), 1) : new Uint32Array(2);
		return { low: words[0] ?? 0, high: (words[1] ?? 0) & FRAME };
	} finally {
		closeFd(fd);
		page.unmap();
	}
}

/** The scan of one task's memory. */
export interface MemoryScan {
	/** Pages with content of their own: present or swapped, not the zero page, not the file's. */
	data: Ranges;
	/** Regions installed by MADV_GUARD_INSTALL. */
	guards: Ranges;
}

const DATA = 1;
const IS_GUARD = 2;

/** Which pages hold data. `vmas` bounds the walk: a pagemap is 8 bytes a page. @throws KernelError */
export function scanByPagemap(pagemapFd: number, vmas: Iterable<{ start: bigint; end: bigint }>): MemoryScan {
	const zero = findZeroFrame();
	const hasFrames = zero.low !== 0 || zero.high !== 0;
	const scan: MemoryScan = { data: [], guards: [] };
	const sortOf = (low: number, high: number) => {
		if ((high & GUARD) !== 0) return IS_GUARD;
		if ((high & (PRESENT | SWAP)) === 0 || (high & FILE) !== 0) return 0;
		const isZero = hasFrames && (high & PRESENT) !== 0 && low === zero.low && (high & FRAME) === zero.high;
		return isZero ? 0 : DATA;
	};
	walk(pagemapFd, vmas, sortOf, (start, end, sort) => appendRange(sort === DATA ? scan.data : scan.guards, start, end));
	return scan;
}

/** Pages that were written to since soft-dirty bits were cleared, and all of mappings made since. @throws KernelError */
export function findSoftDirty(pagemapFd: number, ranges: Ranges): Ranges {
	const found: Ranges = [];
	const sortOf = (_: number, high: number) => (high & SOFT_DIRTY) >>> 0;
	walk(pagemapFd, ranges, sortOf, (start, end) => appendRange(found, start, end));
	return found;
}

/** True where the kernel keeps soft-dirty bits: each page of a fresh mapping has one. @throws KernelError */
export function hasSoftDirty(): boolean {
	const page = mapPrivate(4096);
	const fd = openAt("/proc/self/pagemap", 0);
	try {
		return findSoftDirty(fd, [{ start: BigInt(page.address), end: BigInt(page.address) + PAGE }]).length > 0;
	} finally {
		closeFd(fd);
		page.unmap();
	}
}
