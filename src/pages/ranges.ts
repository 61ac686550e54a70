// SPDX-License-Identifier: GPL-2.0-only
// Ranges of addresses: sorted lists of them, and what two lists have in common. Pure.

/** Half-open ranges of addresses, sorted, merged. */
export type Ranges = Array<{ start: bigint; end: bigint }>;

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
