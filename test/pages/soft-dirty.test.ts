// SPDX-License-Identifier: GPL-2.0-only
// Soft-dirty bits: what can be tried on kernels that have none. With them test/pages/incremental.test.ts tries the rest.
import { describe, expect, test } from "bun:test";
import { chooseWitnesses, spreadPages } from "../../src/pages/soft-dirty.ts";

const M = 1n << 20n;
const PAGE = 4096n;

describe("witnesses of page tables", () => {
	test("are the first and the last page of each", () => {
		expect(chooseWitnesses([{ start: 2n * M, end: 6n * M }])).toEqual([2n * M, 4n * M - PAGE, 4n * M, 6n * M - PAGE]);
		expect(chooseWitnesses([{ start: M, end: 3n * M }])).toEqual([M, 2n * M - PAGE, 2n * M, 3n * M - PAGE]);
	});

	test("are one where there's one page", () => {
		expect(chooseWitnesses([{ start: M, end: M + PAGE }])).toEqual([M]);
		expect(chooseWitnesses([])).toEqual([]);
	});

	test("are taken from all ranges in a table", () => {
		const at = (page: bigint, pages: bigint) => ({ start: 4n * M + page * PAGE, end: 4n * M + (page + pages) * PAGE });
		expect(chooseWitnesses([at(1n, 1n), at(3n, 2n), at(9n, 1n)])).toEqual([4n * M + PAGE, 4n * M + 9n * PAGE]);
		expect(chooseWitnesses([{ start: M, end: M + PAGE }, at(511n, 2n)])).toEqual([M, 4n * M + 511n * PAGE, 6n * M]);
	});
});

test("marks are spread over all that may be marked", () => {
	const ranges = [
		{ start: M, end: M + 2n * PAGE },
		{ start: 4n * M, end: 4n * M + 98n * PAGE },
	];
	const spread = spreadPages(ranges, 4);
	expect(spread.map(({ start }) => start)).toEqual([M, 4n * M + 23n * PAGE, 4n * M + 48n * PAGE, 4n * M + 73n * PAGE]);
	expect(spread.every(({ start, end }) => end - start === PAGE)).toBe(true);
	expect(spreadPages(ranges, 1000)).toHaveLength(100);
	expect(spreadPages([], 4)).toEqual([]);
});
