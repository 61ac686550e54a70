// SPDX-License-Identifier: GPL-2.0-only
// Which pages an address space still waits for, and where the images have them. Moves of memory make the two addresses differ.

import { earlier } from "../pagemap.ts";

/** Pages that are missing at [start, end); the first of them is the one that the images have at `source`. */
export interface PendingRange {
	readonly start: bigint;
	readonly end: bigint;
	readonly source: bigint;
}

function later(a: bigint, b: bigint): bigint {
	return a > b ? a : b;
}

/** The part of a range within bounds. */
function cut(range: PendingRange, start: bigint, end: bigint): PendingRange {
	const from = later(range.start, start);
	return { start: from, end: earlier(range.end, end), source: range.source + (from - range.start) };
}

/** Ranges that don't overlap, by address. */
export class PendingRanges {
	private ranges: PendingRange[] = [];
	/** Nothing was moved: both addresses are the same. */
	private straight = true;

	/** `ranges`: sorted by address. */
	constructor(ranges: Iterable<{ readonly start: bigint; readonly end: bigint }> = []) {
		for (const { start, end } of ranges) this.ranges.push({ start, end, source: start });
	}

	get isEmpty(): boolean {
		return this.ranges.length === 0;
	}

	get list(): readonly PendingRange[] {
		return this.ranges;
	}

	/** How many bytes are missing. */
	get bytes(): bigint {
		let sum = 0n;
		for (const { start, end } of this.ranges) sum += end - start;
		return sum;
	}

	/** What a fork has: the same, on its own from here on. */
	copy(): PendingRanges {
		const copied = new PendingRanges();
		copied.ranges = [...this.ranges];
		copied.straight = this.straight;
		return copied;
	}

	/** Index of the first range that ends behind an address. */
	private indexOf(address: bigint): number {
		let low = 0;
		let high = this.ranges.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((this.ranges[middle] as PendingRange).end <= address) low = middle + 1;
			else high = middle;
		}
		return low;
	}

	/** The range that an address lies in. */
	find(address: bigint): PendingRange | undefined {
		const range = this.ranges[this.indexOf(address)];
		return range !== undefined && range.start <= address ? range : undefined;
	}

	/** What is missing at or behind an address; from the beginning when nothing is. */
	next(address: bigint): PendingRange | undefined {
		const range = this.ranges[this.indexOf(address)];
		return range === undefined ? this.ranges[0] : cut(range, address, range.end);
	}

	/** Takes out all that lies within bounds, and gives it. */
	take(start: bigint, end: bigint): PendingRange[] {
		const first = this.indexOf(start);
		let last = first;
		while (last < this.ranges.length && (this.ranges[last] as PendingRange).start < end) last++;
		if (last === first) return [];
		const touched = this.ranges.slice(first, last);
		const kept = touched.flatMap((range) =>
			[cut(range, range.start, start), cut(range, later(end, range.start), range.end)].filter(
				(part) => part.start < part.end,
			),
		);
		this.ranges.splice(first, last - first, ...kept);
		return touched.map((range) => cut(range, start, end));
	}

	/** Puts back what isn't there. */
	add(range: PendingRange): void {
		if (range.start !== range.source) this.straight = false;
		this.ranges.splice(this.indexOf(range.start), 0, range);
	}

	/** Memory has moved; what was missing at its new place isn't any more. */
	move(from: bigint, to: bigint, length: bigint): void {
		const moved = this.take(from, from + length);
		this.take(to, to + length);
		for (const { start, end, source } of moved) this.add({ start: start - from + to, end: end - from + to, source });
	}

	/** One range that waits for pages of the images within bounds; only the part of it that does. */
	findSource(start: bigint, end: bigint): PendingRange | undefined {
		if (this.straight) {
			const range = this.ranges[this.indexOf(start)];
			return range === undefined || range.start >= end ? undefined : cut(range, start, end);
		}
		for (const range of this.ranges) {
			const shift = range.start - range.source;
			const part = cut(range, start + shift, end + shift);
			if (part.start < part.end) return part;
		}
		return undefined;
	}
}
