// SPDX-License-Identifier: GPL-2.0-only
// pagemap-*.img and pages-*.img: which pages are in the images, and where. Offsets in the pages file follow from the
// order of the entries: only PRESENT ones take room.

import { ImageError } from "../errors.ts";
import type { pagemap_entry, pagemap_head } from "../images/gen/mm_pb.ts";
import { pagemap_entrySchema } from "../images/gen/mm_pb.ts";
import { create, hasField, KINDS } from "../images/index.ts";
import { PIECE_SHARED } from "../sys/host-layout.ts";
import { appendRange, type Ranges } from "./ranges.ts";

const PAGE = 4096n;
const ADDRESS_LIMIT = 1n << 47n;

export const PE_PARENT = 1;
export const PE_LAZY = 2;
export const PE_PRESENT = 4;

/** What a page server has of a task, kept where its other images are. */
export const SENT_PAGEMAP: typeof KINDS.PAGEMAP = { ...KINDS.PAGEMAP, file: "sent-pagemap-%u" };

/** A run of pages whose content is in a pages file at `offset`. */
export interface PageRun {
	address: bigint;
	bytes: bigint;
	offset: bigint;
	/** Whose pages file: 0 is that of the images themselves, 1 that of their parent, and so on. */
	level: number;
}

/** A stretch of memory that is dumped page by page. */
export interface PrivateRange {
	start: bigint;
	end: bigint;
	/** Its pages may be served on demand by a lazy restore. */
	lazy: boolean;
	/** All of its pages, present or not. */
	whole: boolean;
}

/** The lower one of two addresses. */
export function earlier(a: bigint, b: bigint): bigint {
	return a < b ? a : b;
}

function laterOf(a: bigint, b: bigint): bigint {
	return a > b ? a : b;
}

/** Ranges of data pages within the given stretches (both sorted), with the stretch each belongs to. */
export function* intersectRanges(data: Ranges, stretches: readonly PrivateRange[]) {
	let at = 0;
	for (const stretch of stretches) {
		if (stretch.whole) {
			yield { start: stretch.start, end: stretch.end, lazy: stretch.lazy, whole: true };
			continue;
		}
		while (at < data.length && (data[at]?.end ?? 0n) <= stretch.start) at++;
		for (let i = at; i < data.length; i++) {
			const range = data[i];
			if (range === undefined || range.start >= stretch.end) break;
			yield {
				start: laterOf(range.start, stretch.start),
				end: earlier(range.end, stretch.end),
				lazy: stretch.lazy,
				whole: false,
			};
		}
	}
}

/** What goes into the images of a task's memory. */
export interface PagemapPlan {
	readonly entries: pagemap_entry[];
	/** Pairs of address and length, of what is in these images themselves. */
	readonly pieces: BigUint64Array;
	/** Of these. */
	readonly bytes: bigint;
	/** Bytes that are left to the parent images. */
	readonly inParent: bigint;
	/** What is left to be asked for. */
	readonly later: Ranges;
}

/** The count of pages in both forms: CRIU 4.2 reads the 64-bit one where it is there, older ones know only the other. */
export function nrPagesFields(nrPages: bigint): { compatNrPages: number; nrPages: bigint } {
	return { compatNrPages: nrPages < 1n << 32n ? Number(nrPages) : 0, nrPages };
}

/** Splits runs where the pages begin or end to be shared copy-on-write. */
function* splitPieces(
	runs: ReadonlyArray<{ start: bigint; end: bigint }>,
	shared: Ranges,
): Generator<[bigint, bigint]> {
	let at = 0;
	for (const { start, end } of runs) {
		let from = start;
		while (from < end) {
			while (at < shared.length && (shared[at]?.end ?? 0n) <= from) at++;
			const next = shared[at];
			if (next === undefined || next.start >= end) {
				yield [from, end - from];
				break;
			}
			if (next.start > from) yield [from, next.start - from];
			from = laterOf(from, next.start);
			const last = earlier(next.end, end);
			yield [from | BigInt(PIECE_SHARED), last - from];
			from = last;
		}
	}
}

/**
 * Entries of a pagemap and the pieces to copy, in the same order; adjacent runs of equal flags are merged. `shared`: where
 * pages are shared copy-on-write. `inherited`: whose content the parent images have. `leavesLazy`: lazy pages stay where they
 * are, to be asked for.
 */
export function planPagemap(
	data: Ranges,
	stretches: readonly PrivateRange[],
	shared: Ranges = [],
	inherited: Ranges = [],
	leavesLazy = false,
): PagemapPlan {
	const runs: PagemapRange[] = [];
	let bytes = 0n;
	let inParent = 0n;
	const later: Ranges = [];
	const append = (start: bigint, end: bigint, flags: number) => {
		const last = runs[runs.length - 1];
		if (last !== undefined && last.end === start && last.flags === flags) last.end = end;
		else runs.push({ start, end, flags });
		if (flags === PE_PARENT) inParent += end - start;
		else if (flags === PE_LAZY) appendRange(later, start, end);
		else bytes += end - start;
	};
	let at = 0;
	for (const { start, end, lazy, whole } of intersectRanges(data, stretches)) {
		const flags = lazy ? (leavesLazy ? PE_LAZY : PE_LAZY | PE_PRESENT) : PE_PRESENT;
		let from = start;
		while (from < end) {
			while (at < inherited.length && (inherited[at]?.end ?? 0n) <= from) at++;
			const next = whole ? undefined : inherited[at];
			if (next === undefined || next.start >= end) {
				append(from, end, flags);
				break;
			}
			if (next.start > from) append(from, next.start, flags);
			const last = earlier(next.end, end);
			append(laterOf(from, next.start), last, PE_PARENT);
			from = last;
		}
	}
	const isWhole = inherited.length === 0 && !leavesLazy;
	const present = isWhole ? runs : runs.filter((run) => (run.flags & PE_PRESENT) !== 0);
	const pieces = BigUint64Array.from([...splitPieces(present, shared)].flat());
	const entries = runs.map((run) => {
		return create(pagemap_entrySchema, {
			vaddr: run.start,
			...nrPagesFields((run.end - run.start) / PAGE),
			flags: run.flags,
		});
	});
	return { entries, pieces, bytes, inParent, later };
}

/** An entry of a pagemap, checked. */
export interface PagemapRange {
	start: bigint;
	end: bigint;
	/** PE_*. */
	flags: number;
}

/**
 * The entries of a pagemap in one form, whoever wrote them.
 *
 * @throws ImageError when entries overlap, go backwards or leave the address space
 */
export function listRanges(file: string, entries: readonly pagemap_entry[]): PagemapRange[] {
	const ranges: PagemapRange[] = [];
	let before = 0n;
	for (const entry of entries) {
		const pages = hasField(entry, "nrPages") ? entry.nrPages : BigInt(entry.compatNrPages);
		const end = entry.vaddr + pages * PAGE;
		if (entry.vaddr % PAGE !== 0n || entry.vaddr < before || end > ADDRESS_LIMIT || pages === 0n)
			throw new ImageError(
				"IMAGE_CORRUPT",
				`${file}: ${pages} pages at 0x${entry.vaddr.toString(16)} are out of order or range`,
				{
					file,
					remedy: "dump again; the images were damaged",
				},
			);
		before = end;
		const flags = entry.inParent ? PE_PARENT : hasField(entry, "flags") ? entry.flags : PE_PRESENT;
		ranges.push({ start: entry.vaddr, end, flags });
	}
	return ranges;
}

/** What images with this pagemap have, themselves or by their parents. @throws ImageError as listRanges */
export function listHeld(file: string, entries: readonly pagemap_entry[]): Ranges {
	const held: Ranges = [];
	for (const { start, end, flags } of listRanges(file, entries))
		if ((flags & (PE_PRESENT | PE_PARENT)) !== 0) appendRange(held, start, end);
	return held;
}

/** Pages that a lazy restore leaves to its daemon. @throws ImageError as listRanges */
export function listLazy(file: string, entries: readonly pagemap_entry[]): Ranges {
	const lazy: Ranges = [];
	for (const { start, end, flags } of listRanges(file, entries))
		if ((flags & PE_LAZY) !== 0) appendRange(lazy, start, end);
	return lazy;
}

function incomplete(file: string, start: bigint): ImageError {
	return new ImageError("IMAGE_INCOMPLETE", `${file}: pages at 0x${start.toString(16)} are in no image`, {
		file,
		remedy: "bring back the older images that `parent` leads to; pages of --lazy-pages come from their server",
	});
}

/** Appends what the parent has of a range, one level further away. @throws ImageError when it hasn't all of it */
function takeFromParent(runs: PageRun[], file: string, { start, end }: PagemapRange, parent: readonly PageRun[]): void {
	let low = 0;
	let high = parent.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		const run = parent[middle] as PageRun;
		if (run.address + run.bytes <= start) low = middle + 1;
		else high = middle;
	}
	let at = start;
	for (let i = low; at < end; i++) {
		const run = parent[i];
		if (run === undefined || run.address > at) throw incomplete(file, at);
		const last = earlier(run.address + run.bytes, end);
		runs.push({ address: at, bytes: last - at, offset: run.offset + (at - run.address), level: run.level + 1 });
		at = last;
	}
}

/**
 * Where each page of a pagemap lies. `parent`: the same of the parent images, asked for when it's needed. `skipsLazy`: without
 * what listLazy gives.
 *
 * @throws ImageError when entries overlap, go backwards, or miss their pages in the parent images
 */
export function collectRuns(
	file: string,
	pagemap: { head: pagemap_head; entries: pagemap_entry[] },
	parent: () => readonly PageRun[] = () => [],
	skipsLazy = false,
): PageRun[] {
	const runs: PageRun[] = [];
	let offset = 0n;
	let older: readonly PageRun[] | undefined;
	for (const range of listRanges(file, pagemap.entries)) {
		const { start, end, flags } = range;
		if (skipsLazy && (flags & PE_LAZY) !== 0) {
			if ((flags & PE_PRESENT) !== 0) offset += end - start;
			continue;
		}
		if ((flags & PE_PARENT) !== 0) {
			older ??= parent();
			takeFromParent(runs, file, range, older);
			continue;
		}
		if ((flags & PE_PRESENT) === 0) throw incomplete(file, start);
		const bytes = end - start;
		const last = runs[runs.length - 1];
		const follows = last?.level === 0 && last.address + last.bytes === start && last.offset + last.bytes === offset;
		if (last !== undefined && follows) last.bytes += bytes;
		else runs.push({ address: start, bytes, offset, level: 0 });
		offset += bytes;
	}
	return runs;
}

/** Bytes that the pages file of a level must have. */
export function totalBytes(runs: readonly PageRun[], level = 0): bigint {
	let total = 0n;
	for (const run of runs) if (run.level === level && run.offset + run.bytes > total) total = run.offset + run.bytes;
	return total;
}
