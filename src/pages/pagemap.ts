// SPDX-License-Identifier: GPL-2.0-only
// pagemap-*.img and pages-*.img: which pages are in the images, and where. Offsets in the pages file follow from the
// order of the entries: only PRESENT ones take room.

import { ImageError } from "../errors.ts";
import type { pagemap_entry, pagemap_head } from "../images/gen/mm_pb.ts";
import { pagemap_entrySchema } from "../images/gen/mm_pb.ts";
import { create, hasField } from "../images/index.ts";
import { PIECE_SHARED } from "../sys/host-layout.ts";
import type { Ranges } from "./scan.ts";

const PAGE = 4096n;
const ADDRESS_LIMIT = 1n << 47n;

export const PE_PARENT = 1;
export const PE_LAZY = 2;
export const PE_PRESENT = 4;

/** A run of pages whose content is in the pages file at `offset`. */
export interface PageRun {
	address: bigint;
	bytes: bigint;
	offset: bigint;
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

function later(a: bigint, b: bigint): bigint {
	return a > b ? a : b;
}

/** Ranges of data pages within the given stretches (both sorted), with the stretch each belongs to. */
export function* intersectRanges(data: Ranges, stretches: readonly PrivateRange[]) {
	let at = 0;
	for (const stretch of stretches) {
		if (stretch.whole) {
			yield { start: stretch.start, end: stretch.end, lazy: stretch.lazy };
			continue;
		}
		while (at < data.length && (data[at]?.end ?? 0n) <= stretch.start) at++;
		for (let i = at; i < data.length; i++) {
			const range = data[i];
			if (range === undefined || range.start >= stretch.end) break;
			yield {
				start: later(range.start, stretch.start),
				end: earlier(range.end, stretch.end),
				lazy: stretch.lazy,
			};
		}
	}
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
			from = later(from, next.start);
			const last = earlier(next.end, end);
			yield [from | BigInt(PIECE_SHARED), last - from];
			from = last;
		}
	}
}

/**
 * Entries of a pagemap and the pieces to copy, in the same order; adjacent runs of equal flags are merged. `shared`: where
 * pages are shared copy-on-write.
 */
export function planPagemap(
	data: Ranges,
	stretches: readonly PrivateRange[],
	shared: Ranges = [],
): { entries: pagemap_entry[]; pieces: BigUint64Array; bytes: bigint } {
	const runs: Array<{ start: bigint; end: bigint; flags: number }> = [];
	let bytes = 0n;
	for (const { start, end, lazy } of intersectRanges(data, stretches)) {
		const flags = lazy ? PE_LAZY | PE_PRESENT : PE_PRESENT;
		const last = runs[runs.length - 1];
		if (last !== undefined && last.end === start && last.flags === flags) last.end = end;
		else runs.push({ start, end, flags });
		bytes += end - start;
	}
	const pieces = BigUint64Array.from([...splitPieces(runs, shared)].flat());
	const entries = runs.map((run) => {
		return create(pagemap_entrySchema, {
			vaddr: run.start,
			...nrPagesFields((run.end - run.start) / PAGE),
			flags: run.flags,
		});
	});
	return { entries, pieces, bytes };
}

/**
 * Where each page of a pagemap lies in its pages file.
 *
 * @throws ImageError when entries overlap, go backwards, or need a parent image
 */
export function collectRuns(file: string, pagemap: { head: pagemap_head; entries: pagemap_entry[] }): PageRun[] {
	const runs: PageRun[] = [];
	let offset = 0n;
	let end = 0n;
	for (const entry of pagemap.entries) {
		const pages = hasField(entry, "nrPages") ? entry.nrPages : BigInt(entry.compatNrPages);
		const bytes = pages * PAGE;
		if (entry.vaddr % PAGE !== 0n || entry.vaddr < end || entry.vaddr + bytes > ADDRESS_LIMIT || bytes === 0n)
			throw new ImageError(
				"IMAGE_CORRUPT",
				`${file}: ${pages} pages at 0x${entry.vaddr.toString(16)} are out of order or range`,
				{
					file,
					remedy: "dump again; the images were damaged",
				},
			);
		end = entry.vaddr + bytes;
		const flags = entry.inParent ? PE_PARENT : hasField(entry, "flags") ? entry.flags : PE_PRESENT;
		if ((flags & (PE_PRESENT | PE_PARENT)) !== PE_PRESENT)
			throw new ImageError("IMAGE_INCOMPLETE", `${file}: pages at 0x${entry.vaddr.toString(16)} are in another image`, {
				file,
				remedy: "this version restores only full dumps: dump without --prev-images-dir and --lazy-pages",
			});
		const last = runs[runs.length - 1];
		if (last !== undefined && last.address + last.bytes === entry.vaddr) last.bytes += bytes;
		else runs.push({ address: entry.vaddr, bytes, offset });
		offset += bytes;
	}
	return runs;
}

/** Bytes that the pages file must have. */
export function totalBytes(runs: readonly PageRun[]): bigint {
	const last = runs[runs.length - 1];
	return last === undefined ? 0n : last.offset + last.bytes;
}
