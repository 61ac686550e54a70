// SPDX-License-Identifier: GPL-2.0-only
// Which pages of a stopped task hold data: PAGEMAP_SCAN where the kernel has it, /proc/PID/pagemap otherwise.

import { isErrno, KernelError } from "../errors.ts";
import { PAGEMAP_SCAN } from "../kernel/abi/ioctl.ts";
import {
	PAGE_IS_FILE,
	PAGE_IS_GUARD,
	PAGE_IS_PFNZERO,
	PAGE_IS_PRESENT,
	PAGE_IS_SWAPPED,
	PAGE_IS_WRITTEN,
	PM_SCAN_CHECK_WPASYNC,
	PM_SCAN_WP_MATCHING,
	PmScanArg,
} from "../kernel/abi/pagemap-scan.ts";
import { SYS_ioctl } from "../kernel/abi/syscalls.x86_64.ts";
import { readSmaps } from "../kernel/procfs/smaps.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { addressOf, syscall } from "../sys/host.ts";
import { type MemoryScan, scanByPagemap } from "./pagemap-walk.ts";
import { appendRange, type Ranges } from "./ranges.ts";

/** [vsyscall] lies above. */
const USER_END = 1n << 47n;
const REGION_WORDS = 3;
const REGIONS_PER_CALL = 16384;

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

/** With more address space, the plain pagemap takes so long (8 bytes a page, also where nothing is) that smaps pays. */
const SPACIOUS = 1n << 30n;

/** What a plain pagemap is to be read of: programs reserve terabytes of which nothing is there. */
function leaveOutEmpty(pid: number, vmas: readonly ScannedVma[]): readonly ScannedVma[] {
	if (vmas.every((vma) => vma.end - vma.start < SPACIOUS)) return vmas;
	const empty = new Set(
		readSmaps(pid)
			.filter(({ rssKb, swapKb }) => rssKb + swapKb === 0)
			.map(({ start }) => start),
	);
	return vmas.filter(({ start, end }) => end - start < SPACIOUS || !empty.has(start));
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
		return scanByPagemap(fd, leaveOutEmpty(pid, user));
	} finally {
		closeFd(fd);
	}
}
