// SPDX-License-Identifier: GPL-2.0-only
// What was copied ahead of a snapshot gets to its place in the pages file.

import { expect, test } from "bun:test";
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findMoves, moveParts, type PlacedRange, placeRanges } from "../../src/pages/places.ts";
import { loadHost } from "../../src/sys/host.ts";

const range = (start: number, end: number) => ({ start: BigInt(start), end: BigInt(end) });
const placed = (start: number, end: number, offset: number): PlacedRange => ({
	...range(start, end),
	offset: BigInt(offset),
});

test("ranges are placed one after the other, and moved only where they aren't at their place", () => {
	const layout = placeRanges([range(10, 20), range(30, 40), range(40, 45)]);
	expect(layout).toEqual([placed(10, 20, 0), placed(30, 40, 10), placed(40, 45, 20)]);
	expect(findMoves(layout, layout)).toEqual([]);
	expect(findMoves([placed(12, 15, 2), placed(35, 45, 8)], layout)).toEqual([
		{ from: 15n, to: 8n, bytes: 5n },
		{ from: 20n, to: 13n, bytes: 5n },
	]);
	expect(findMoves([placed(12, 15, 2), placed(16, 18, 5), placed(30, 31, 7)], layout)).toEqual([
		{ from: 6n, to: 5n, bytes: 2n },
		{ from: 10n, to: 7n, bytes: 1n },
	]);
});

test("parts move past each other's old places in any mixture of directions", () => {
	loadHost();
	const path = join(tmpdir(), `ahead-${process.pid}`);
	let seed = 7;
	const random = (below: number) => {
		seed = (seed * 1103515245 + 12345) % 2147483648;
		return seed % below;
	};
	for (let round = 0; round < 200; round++) {
		const old = Uint8Array.from({ length: 400 }, () => random(256));
		const moves: { from: bigint; to: bigint; bytes: bigint }[] = [];
		const wanted = new Map<number, number | undefined>();
		for (let from = 0, to = random(20); ; ) {
			const bytes = 1 + random(30);
			from += random(20);
			to += random(25);
			if (from + bytes > old.length) break;
			moves.push({ from: BigInt(from), to: BigInt(to), bytes: BigInt(bytes) });
			for (let i = 0; i < bytes; i++) wanted.set(to + i, old[from + i]);
			from += bytes;
			to += bytes;
		}
		writeFileSync(path, old);
		const fd = openSync(path, "r+");
		moveParts(fd, moves);
		closeSync(fd);
		const now = readFileSync(path);
		for (const [at, byte] of wanted) expect(now[at], `round ${round}, byte ${at}`).toBe(byte as number);
	}
	rmSync(path);
});
