// SPDX-License-Identifier: GPL-2.0-only
// Statistics of the benchmark: small samples, odd and even, with parts that some runs lack.

import { describe, expect, test } from "bun:test";
import { median, mediansByName, quantile, summarise } from "../../bench/statistics.ts";

describe("quantile", () => {
	test("the median of an odd number of values is the middle one, of an even number lies between two", () => {
		expect(median([9, 1, 5])).toBe(5);
		expect(median([4, 1, 3, 2])).toBe(2.5);
		expect(median([7])).toBe(7);
	});

	test("values are ordered as numbers, and the caller's array stays as it is", () => {
		const values = [100, 20, 3];
		expect(median(values)).toBe(20);
		expect(values).toEqual([100, 20, 3]);
	});

	test("neighbours are interpolated", () => {
		expect(quantile([0, 10, 20, 30, 40], 0.25)).toBe(10);
		expect(quantile([0, 10, 20, 30], 0.25)).toBe(7.5);
		expect(quantile([0, 10], 0)).toBe(0);
		expect(quantile([0, 10], 1)).toBe(10);
	});

	test("no values and fractions out of range are refused", () => {
		expect(() => median([])).toThrow(RangeError);
		expect(() => quantile([1], 1.1)).toThrow(RangeError);
		expect(() => quantile([1], Number.NaN)).toThrow(RangeError);
	});
});

describe("summarise", () => {
	test("gives order statistics", () => {
		expect(summarise([5, 1, 3, 2, 4])).toEqual({ count: 5, min: 1, low: 2, median: 3, high: 4, max: 5 });
	});

	test("gives nothing for nothing", () => {
		expect(summarise([])).toBeUndefined();
	});
});

describe("mediansByName", () => {
	test("keeps the order of the parts, adds up repeated ones, and counts a missing one as no time", () => {
		const runs = [
			[
				{ name: "read", us: 10 },
				{ name: "write", us: 1 },
				{ name: "read", us: 5 },
			],
			[{ name: "read", us: 17 }],
			[
				{ name: "read", us: 16 },
				{ name: "extra", us: 3 },
			],
		];
		expect(mediansByName(runs)).toEqual([
			{ name: "read", us: 16 },
			{ name: "write", us: 0 },
			{ name: "extra", us: 0 },
		]);
	});

	test("gives no parts for no runs", () => {
		expect(mediansByName([])).toEqual([]);
	});
});
