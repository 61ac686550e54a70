// SPDX-License-Identifier: GPL-2.0-only
// Which pages a task has written to, by soft-dirty bits, for kernels before 6.7: the kernel sets one at the first write after they
// were cleared, and for all of a mapping made since. Two things they don't tell. Anybody may clear them: so marks are left, pages
// made dirty right after, that nobody else writes to, as far as there are such. And mremap(2) moves whole page tables, 2 MiB each, with their bits as they are:
// so of each the frames of two pages are noted. Source: admin-guide/mm/soft-dirty.rst, proc_pid_clear_refs(5), mm/mremap.c.

import { O_CLOEXEC, O_RDWR } from "../kernel/abi/fcntl.ts";
import { PM_PFRAME_MASK, PM_PRESENT } from "../kernel/abi/pagemap-scan.ts";
import { SYS_pread64, SYS_pwrite64 } from "../kernel/abi/syscalls.x86_64.ts";
import { log } from "../log.ts";
import { openAt, readAt, scopedFd, writeFileText } from "../sys/file.ts";
import { syscall } from "../sys/host.ts";
import { findSoftDirty } from "./pagemap-walk.ts";
import { appendRange, intersect, lengthOf, type Ranges, subtract } from "./ranges.ts";

const PAGE = 4096n;
/** What one page table maps. */
const TABLE = 2n << 20n;
const MAX_MARKS = 4;
/** Marks in memory that the program may write to, of a program that has no other: hardly all are written to again. */
const MAX_GUESSED = 16;
const CLEAR_SOFT_DIRTY = "4";

/** How the memory of one task is tracked in a dump. */
export interface SoftTracking {
	/** What the parent images have; empty: nothing can be left to them. */
	readonly coverage: Ranges;
	/** Bits are cleared: the next dump builds on this one. */
	readonly arm: boolean;
	/** What was left when the bits were cleared; with `arm` that of this time comes in its place. */
	readonly traces: SoftTraces;
}

export interface SoftTraces {
	/** Addresses of pages that were made dirty. */
	marks: readonly bigint[];
	/** Address and frame of two pages of each page table, by address. */
	frames: readonly bigint[];
}

const isDirty = (pagemapFd: number, start: bigint) =>
	findSoftDirty(pagemapFd, [{ start, end: start + PAGE }]).length > 0;

/** The frame of a page; 0: it isn't there, or we may not know. */
function readFrame(pagemapFd: number, address: bigint): bigint {
	const words = new BigUint64Array(readAt(pagemapFd, 8, (address / PAGE) * 8n).buffer);
	const word = words[0] ?? 0n;
	return (word & PM_PRESENT) === 0n ? 0n : word & PM_PFRAME_MASK;
}

/** Of each page table the first and the last page with data. Pure. */
export function chooseWitnesses(data: Ranges): bigint[] {
	const chosen: bigint[] = [];
	let last = -1n;
	for (const { start, end } of data)
		for (let at = start; at < end; at = (at / TABLE + 1n) * TABLE) {
			const stop = (at / TABLE + 1n) * TABLE;
			const tail = (end < stop ? end : stop) - PAGE;
			if (at / TABLE !== last) chosen.push(at);
			// In place of what was the last one so far, unless that's the first.
			else if (chosen.length > 1 && (chosen[chosen.length - 2] as bigint) / TABLE === last) chosen.pop();
			last = at / TABLE;
			if (tail !== chosen[chosen.length - 1]) chosen.push(tail);
		}
	return chosen;
}

function noteFrames(pagemapFd: number, data: Ranges): bigint[] {
	return chooseWitnesses(data).flatMap((address) => {
		const frame = readFrame(pagemapFd, address);
		return frame === 0n ? [] : [address, frame];
	});
}

/** Page tables that are where they were when frames were noted. */
function findUnmoved(pagemapFd: number, frames: readonly bigint[]): Ranges {
	const unmoved: Ranges = [];
	let moved = -1n;
	for (let i = 0; i + 1 < frames.length; i += 2) {
		const address = frames[i] as bigint;
		const start = (address / TABLE) * TABLE;
		if (start === moved) continue;
		const isSame = readFrame(pagemapFd, address) === frames[i + 1];
		const last = unmoved[unmoved.length - 1];
		const isListed = last !== undefined && last.end > start;
		if (isSame && !isListed) appendRange(unmoved, start, start + TABLE);
		if (isSame) continue;
		moved = start;
		if (!isListed) continue;
		last.end = start;
		if (last.start === start) unmoved.pop();
	}
	return unmoved;
}

/** So many pages of ranges, evenly spread; all where there are fewer. Pure. */
export function spreadPages(ranges: Ranges, count: number): Ranges {
	const total = lengthOf(ranges) / PAGE;
	const wanted = total < BigInt(count) ? total : BigInt(count);
	const chosen: Ranges = [];
	let before = 0n;
	let next = 0n;
	for (const { start, end } of ranges) {
		const pages = (end - start) / PAGE;
		for (; next < wanted && (next * total) / wanted < before + pages; next++) {
			const at = start + ((next * total) / wanted - before) * PAGE;
			chosen.push({ start: at, end: at + PAGE });
		}
		before += pages;
	}
	return chosen;
}

/** Writes to each page what it holds. Pages that can't be written are left out. */
function leaveMarks(pid: number, pages: Ranges, limit: number): bigint[] {
	using memory = scopedFd(openAt(`/proc/${pid}/mem`, O_RDWR | O_CLOEXEC));
	const byte = new Uint8Array(1);
	const marks: bigint[] = [];
	for (const { start } of pages) {
		if (marks.length === limit) break;
		if (syscall(SYS_pread64, memory.fd, byte, 1, start) !== 1) continue;
		if (syscall(SYS_pwrite64, memory.fd, byte, 1, start) === 1) marks.push(start);
	}
	return marks;
}

/**
 * Ranges whose data is the same as in the parent images. `mappings`: private mappings of a task that stands still, `data`: where
 * there's data in them, `readOnly`: some that the task can't write to.
 *
 * @throws KernelError
 */
export function findClean(
	pid: number,
	mappings: Ranges,
	data: Ranges,
	readOnly: Ranges,
	tracking: SoftTracking,
): Ranges {
	const { coverage, arm, traces } = tracking;
	using pagemap = scopedFd(openAt(`/proc/${pid}/pagemap`, O_CLOEXEC));
	let clean: Ranges = [];
	if (coverage.length > 0) {
		const known = intersect(intersect(mappings, coverage), findUnmoved(pagemap.fd, traces.frames));
		clean = subtract(known, findSoftDirty(pagemap.fd, known));
		// Afterwards: bits may be cleared at any time, while we look at them, too.
		if (!traces.marks.every((mark) => isDirty(pagemap.fd, mark))) {
			clean = [];
			log.warn(`somebody else has cleared the soft-dirty bits of pid ${pid}: all of its pages are dumped`);
		}
	}
	if (!arm) return clean;
	writeFileText(`/proc/${pid}/clear_refs`, CLEAR_SOFT_DIRTY);
	traces.marks = leaveMarks(pid, readOnly, MAX_MARKS);
	const own = intersect(mappings, data);
	if (traces.marks.length === 0)
		traces.marks = leaveMarks(pid, spreadPages(clean.length > 0 ? clean : own, MAX_GUESSED), MAX_GUESSED);
	traces.frames = noteFrames(pagemap.fd, own);
	return clean;
}
