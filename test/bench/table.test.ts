// SPDX-License-Identifier: GPL-2.0-only
// Tables and the numbers in them.

import { describe, expect, test } from "bun:test";
import { formatTable, showMiB, showMs, showRatio } from "../../bench/table.ts";

describe("formatTable", () => {
	const columns = [
		{ head: "load", align: "left" },
		{ head: "ms", align: "right" },
	] as const;

	test("aligns cells below their heads, without spaces at the ends of lines", () => {
		const text = formatTable(columns, [["a long name", "7"], ["b", "1234"], ["c"]]);
		expect(text.split("\n")).toEqual([
			"load           ms",
			"-----------  ----",
			"a long name     7",
			"b            1234",
			"c",
		]);
	});

	test("is heads and a rule when there are no rows", () => {
		expect(formatTable(columns, [])).toBe("load  ms\n----  --");
	});

	test("refuses a row with too many cells", () => {
		expect(() => formatTable(columns, [["a", "b", "c"]])).toThrow(RangeError);
	});
});

describe("numbers", () => {
	test("times have three digits that mean something", () => {
		expect([1_234, 12_345, 123_456, 1_234_567].map(showMs)).toEqual(["1.23", "12.3", "123", "1235"]);
	});

	test("memory is in MiB", () => {
		expect(showMiB(7168)).toBe("7.0");
	});

	test("what isn't there is a dash, also a ratio to it or to nothing", () => {
		expect([showMs(undefined), showMiB(undefined)]).toEqual(["-", "-"]);
		expect([showRatio(1, undefined), showRatio(undefined, 1), showRatio(1, 0)]).toEqual(["-", "-", "-"]);
		expect(showRatio(1, 3)).toBe("0.33");
	});
});
