// SPDX-License-Identifier: GPL-2.0-only
// Which pages of a stopped task hold data: PAGEMAP_SCAN where the kernel has it, /proc/PID/pagemap otherwise.

import { isErrno, KernelError } from "../errors.ts";
import { PAGEMAP_SCAN } from "../kernel/abi/ioctl.ts";
import { MADV_DONTNEED } from "../kernel/abi/mman.ts";
import {
	PAGE_IS_FILE,
	PAGE_IS_GUARD,
	PAGE_IS_PFNZERO,
	PAGE_IS_PRESENT,
	PAGE_IS_SWAPPED,
	PAGE_IS_WRITTEN,
	PM_FILE,
	PM_GUARD_REGION,
	PM_PFRAME_MASK,
	PM_PRESENT,
	PM_SCAN_CHECK_WPASYNC,
	PM_SCAN_WP_MATCHING,
	PM_SWAP,
	PmScanArg,
} from "../kernel/abi/pagemap-scan.ts";
import { SYS_ioctl, SYS_madvise } from "../kernel/abi/syscalls.x86_64.ts";
import { closeFd, openAt, readAt } from "../sys/file.ts";
import { addressOf, syscall } from "../sys/host.ts";
import { mapPrivate } from "../sys/memory.ts";

const PAGE = 4096n;
/** [vsyscall] lies above. */
const USER_END = 1n << 47n;
const REGION_WORDS = 3;
const REGIONS_PER_CALL = 16384;

/** Half-open ranges of addresses, sorted, merged. */
export type Ranges = Array<{ start: bigint; end: bigint }>;

/** The scan of one task's memory. */
export interface MemoryScan {
	/** Pages with content of their own: present or swapped, not the zero page, not the file's. */
	data: Ranges;
	/** Regions installed by MADV_GUARD_INSTALL. */
	guards: Ranges;
}

/** Appends a range, joined with the last one where they touch. */
export function appendRange(ranges: Ranges, start: bigint, end: bigint): void {
	const last = ranges[ranges.length - 1];
	if (last !== undefined && last.end === start) last.end = end;
	else ranges.push({ start, end });
}

/** Bytes in all of them. */
export function lengthOf(ranges: Ranges): bigint {
	return ranges.reduce((sum, { start, end }) => sum + (end - start), 0n);
}

/** What is in both lists. */
export function intersect(a: Ranges, b: Ranges): Ranges {
	const both: Ranges = [];
	for (let i = 0, j = 0; i < a.length && j < b.length; ) {
		const [x, y] = [a[i], b[j]];
		if (x === undefined || y === undefined) break;
		const [low, high] = x.start > y.start ? [x, y] : [y, x];
		const first = x.end < y.end ? x : y;
		if (low.start < first.end && low.start < high.end) appendRange(both, low.start, first.end);
		if (x.end < y.end) i++;
		else j++;
	}
	return both;
}

/** What is in one of the lists or in both. */
export function unite(a: Ranges, b: Ranges): Ranges {
	const all = [...a, ...b].sort((x, y) => (x.start < y.start ? -1 : 1));
	const merged: Ranges = [];
	for (const { start, end } of all) {
		const last = merged[merged.length - 1];
		if (last === undefined || start > last.end) merged.push({ start, end });
		else if (end > last.end) last.end = end;
	}
	return merged;
}

/** What is in the first list and not in the second. */
export function subtract(from: Ranges, what: Ranges): Ranges {
	const rest: Ranges = [];
	let i = 0;
	for (const { start, end } of from) {
		let at = start;
		while (i < what.length && (what[i]?.end ?? 0n) <= at) i++;
		for (let k = i; k < what.length; k++) {
			const cut = what[k];
			if (cut === undefined || cut.start >= end) break;
			if (cut.start > at) appendRange(rest, at, cut.start);
			if (cut.end > at) at = cut.end;
		}
		if (at < end) appendRange(rest, at, end);
	}
	return rest;
}

interface Query {
	inverted: bigint;
	mask: bigint;
	anyOf: bigint;
	/** Categories that are told of each region; all but the matter's own make more of them. */
	tells?: bigint;
	/** PM_SCAN_*. */
	flags?: bigint;
}

const regions = new BigUint64Array(REGIONS_PER_CALL * REGION_WORDS);

/** Hands all regions of [start, end) that match to `take`. @throws KernelError ENOTTY, EINVAL when the kernel lacks call or category */
function scanRegions(
	pagemapFd: number,
	start: bigint,
	end: bigint,
	query: Query,
	take: (start: bigint, end: bigint, categories: bigint) => void,
): void {
	let at = start;
	while (at < end) {
		const arg = PmScanArg.encode({
			size: BigInt(PmScanArg.size),
			flags: query.flags ?? 0n,
			start: at,
			end,
			vec: addressOf(regions),
			vec_len: BigInt(REGIONS_PER_CALL),
			category_inverted: query.inverted,
			category_mask: query.mask,
			category_anyof_mask: query.anyOf,
			return_mask: query.tells ?? query.anyOf,
		});
		const count = syscall(SYS_ioctl, pagemapFd, PAGEMAP_SCAN, arg);
		if (count < 0) throw new KernelError("ioctl", -count, "PAGEMAP_SCAN");
		for (let i = 0; i < count * REGION_WORDS; i += REGION_WORDS)
			take(regions[i] ?? 0n, regions[i + 1] ?? 0n, regions[i + 2] ?? 0n);
		// walk_end isn't to be trusted: it stays behind when the kernel fills the vector in several batches.
		if (count < REGIONS_PER_CALL) break;
		at = regions[(count - 1) * REGION_WORDS + 1] ?? end;
	}
}

function scanRange(pagemapFd: number, start: bigint, end: bigint, query: Query): Ranges {
	const found: Ranges = [];
	scanRegions(pagemapFd, start, end, query, (from, to) => appendRange(found, from, to));
	return found;
}

/**
 * Pages that were written to since the last call that armed the range; undefined where nothing tells, as no asynchronous write
 * protection is on. `arm`: the next call tells what is written from now on.
 *
 * @throws KernelError
 */
export function scanWritten(pagemapFd: number, start: bigint, end: bigint, arm: boolean): Ranges | undefined {
	const flags = PM_SCAN_CHECK_WPASYNC | (arm ? PM_SCAN_WP_MATCHING : 0n);
	const anyOf = PAGE_IS_PRESENT | PAGE_IS_SWAPPED;
	try {
		return scanRange(pagemapFd, start, end, { inverted: 0n, mask: PAGE_IS_WRITTEN, anyOf, flags });
	} catch (error) {
		if (isErrno(error, "EPERM")) return undefined;
		throw error;
	}
}

/** What a scan has to know of a mapping. */
export interface ScannedVma {
	readonly start: bigint;
	readonly end: bigint;
	readonly shared?: boolean;
	/** 0 for anonymous memory. */
	readonly ino?: bigint;
}

/** In anonymous memory of this size or more it pays to scan it apart. */
const LARGE = 16n << 20n;

/**
 * The stretches in which all mappings lie, those apart in which no page can be a file's: to tell that, the kernel looks at each
 * page's descriptor, which is six sevenths of what a scan costs. Pure.
 */
function* divide(vmas: readonly ScannedVma[]): Generator<{ start: bigint; end: bigint; hasFiles: boolean }> {
	let start = vmas[0]?.start ?? 0n;
	for (const vma of vmas) {
		if (vma.shared !== false || vma.ino !== 0n || vma.end - vma.start < LARGE) continue;
		if (start < vma.start) yield { start, end: vma.start, hasFiles: true };
		yield { start: vma.start, end: vma.end, hasFiles: false };
		start = vma.end;
	}
	const end = vmas[vmas.length - 1]?.end ?? start;
	if (start < end) yield { start, end, hasFiles: true };
}

function scanByIoctl(pagemapFd: number, vmas: readonly ScannedVma[]): MemoryScan {
	const anyOf = PAGE_IS_PRESENT | PAGE_IS_SWAPPED;
	const scan: MemoryScan = { data: [], guards: [] };
	// Before 6.15 there's no category for guard regions, nor are there guard regions before 6.13.
	let guard = PAGE_IS_GUARD;
	for (const { start, end, hasFiles } of divide(vmas)) {
		const notData = hasFiles ? PAGE_IS_PFNZERO | PAGE_IS_FILE : PAGE_IS_PFNZERO;
		const take = (from: bigint, to: bigint, categories: bigint) =>
			appendRange((categories & guard) === 0n ? scan.data : scan.guards, from, to);
		for (;;)
			try {
				scanRegions(pagemapFd, start, end, { inverted: notData, mask: notData, anyOf, tells: guard }, take);
				break;
			} catch (error) {
				if (guard === 0n || !isErrno(error, "EINVAL")) throw error;
				guard = 0n;
			}
	}
	return scan;
}

/** The frame of the shared zero page: that of a page of ours which was only read. 0 when frames are hidden. */
function findZeroFrame(): bigint {
	const page = mapPrivate(4096);
	const fd = openAt("/proc/self/pagemap", 0);
	try {
		// MADV_DONTNEED drops the populated page; the read below maps the zero page.
		syscall(SYS_madvise, page.address, 4096, MADV_DONTNEED);
		if (page.bytes[0] !== 0) return 0n;
		const [word] = new BigUint64Array(readAt(fd, 8, (BigInt(page.address) / PAGE) * 8n).slice().buffer);
		return (word ?? 0n) & PM_PFRAME_MASK;
	} finally {
		closeFd(fd);
		page.unmap();
	}
}

const PAGEMAP_CHUNK = 65536;

/** The same from the plain pagemap, for kernels before 6.7. `vmas` bounds the walk: a pagemap is 8 bytes a page. */
export function scanByPagemap(pagemapFd: number, vmas: ReadonlyArray<{ start: bigint; end: bigint }>): MemoryScan {
	const zeroFrame = findZeroFrame();
	const scan: MemoryScan = { data: [], guards: [] };
	for (const vma of vmas) {
		for (let at = vma.start; at < vma.end; at += BigInt(PAGEMAP_CHUNK) * PAGE) {
			const left = Number((vma.end - at) / PAGE);
			const bytes = readAt(pagemapFd, Math.min(left, PAGEMAP_CHUNK) * 8, (at / PAGE) * 8n);
			const words = new BigUint64Array(bytes.slice().buffer);
			for (const [i, word] of words.entries()) {
				const page = at + BigInt(i) * PAGE;
				if ((word & PM_GUARD_REGION) !== 0n) {
					appendRange(scan.guards, page, page + PAGE);
					continue;
				}
				if ((word & (PM_PRESENT | PM_SWAP)) === 0n || (word & PM_FILE) !== 0n) continue;
				if ((word & PM_PRESENT) !== 0n && zeroFrame !== 0n && (word & PM_PFRAME_MASK) === zeroFrame) continue;
				appendRange(scan.data, page, page + PAGE);
			}
		}
	}
	return scan;
}

/**
 * Scans the private memory of a stopped task.
 *
 * @throws KernelError
 */
export function scanMemory(pid: number, vmas: readonly ScannedVma[]): MemoryScan {
	const user = vmas.filter((vma) => vma.end <= USER_END);
	if (user.length === 0) return { data: [], guards: [] };
	const fd = openAt(`/proc/${pid}/pagemap`, 0);
	try {
		return scanByIoctl(fd, user);
	} catch (error) {
		if (!isErrno(error, "ENOTTY", "EINVAL", "ENOSYS")) throw error;
		return scanByPagemap(fd, user);
	} finally {
		closeFd(fd);
	}
}
