// SPDX-License-Identifier: GPL-2.0-only
// Where in a pages file memory lies, and how it gets to where it belongs.

import { KernelError } from "../errors.ts";
import { SYS_pread64, SYS_pwrite64 } from "../kernel/abi/syscalls.x86_64.ts";
import { mustSyscall } from "../sys/host.ts";
import { earlier } from "./pagemap.ts";
import type { Ranges } from "./ranges.ts";

const COPY_PIECE = 4n << 20n;
const EIO = 5;

/** A range of addresses, and where its content lies in a file. */
export interface PlacedRange {
	readonly start: bigint;
	readonly end: bigint;
	readonly offset: bigint;
}

/** Where in a file something belongs. */
export interface Span {
	readonly to: bigint;
	readonly bytes: bigint;
}

/** A part of a file that belongs elsewhere. */
export interface Move extends Span {
	readonly from: bigint;
}

/** Pieces behind each other in a file, in their order. Pure. */
export function placeRanges(ranges: Ranges): PlacedRange[] {
	let offset = 0n;
	return ranges.map(({ start, end }) => {
		const placed = { start, end, offset };
		offset += end - start;
		return placed;
	});
}

/** Where ranges, which are in `have`, lie in the file; both in the order of addresses. Pure. */
export function findPlaces(ranges: Ranges, have: readonly PlacedRange[]): PlacedRange[] {
	const places: PlacedRange[] = [];
	let at = 0;
	for (const { start, end } of ranges)
		for (let from = start; from < end; ) {
			while ((have[at]?.end ?? end) <= from) at++;
			const source = have[at];
			if (source === undefined) return places;
			const to = earlier(source.end, end);
			places.push({ start: from, end: to, offset: source.offset + (from - source.start) });
			from = to;
		}
	return places;
}

/** The parts of `wanted`, which is in `have`, both in the order of addresses, that lie elsewhere now. Pure. */
export function findMoves(wanted: readonly PlacedRange[], have: readonly PlacedRange[]): Move[] {
	const moves: Move[] = [];
	let at = 0;
	for (const { start, end, offset } of findPlaces([...wanted], have)) {
		while ((wanted[at]?.end ?? end) <= start) at++;
		const one = wanted[at];
		if (one === undefined) break;
		const to = one.offset + (start - one.start);
		if (offset !== to) moves.push({ from: offset, to, bytes: end - start });
	}
	return moves;
}

let buffer: Uint8Array | undefined;

function transfer(call: number, fd: number, bytes: Uint8Array, offset: bigint): void {
	for (let at = 0; at < bytes.length; ) {
		const done = mustSyscall(
			"of the pages image",
			call,
			fd,
			bytes.subarray(at),
			bytes.length - at,
			offset + BigInt(at),
		);
		if (done === 0) throw new KernelError("pread64", EIO, "of the pages image: it was cut meanwhile");
		at += done;
	}
}

/** Copies a part of a file into another, or inside of it. @throws KernelError */
export function copyPart(from: number, to: number, { from: source, to: target, bytes }: Move): void {
	buffer ??= new Uint8Array(Number(COPY_PIECE));
	const isBackward = from === to && target > source;
	for (let done = 0n; done < bytes; ) {
		const size = earlier(COPY_PIECE, bytes - done);
		const at = isBackward ? bytes - done - size : done;
		const piece = buffer.subarray(0, Number(size));
		transfer(SYS_pread64, from, piece, source + at);
		transfer(SYS_pwrite64, to, piece, target + at);
		done += size;
	}
}

/**
 * Moves parts inside of a file. Both places are in the same order, so that no part is overwritten before it's moved when those
 * that go back are moved from the first on, and then the others from the last on.
 */
export function moveParts(fd: number, moves: readonly Move[]): void {
	for (const move of moves) if (move.to < move.from) copyPart(fd, fd, move);
	for (const move of [...moves].reverse()) if (move.to > move.from) copyPart(fd, fd, move);
}
