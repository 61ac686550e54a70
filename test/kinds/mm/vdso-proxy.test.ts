// SPDX-License-Identifier: GPL-2.0-only
// Leading the functions of one vdso to those of another: which, how, and where the other one goes.

import { describe, expect, test } from "bun:test";
import { findPlaceNear, pairFunctions, writeJumps } from "../../../src/kinds/mm/vdso-proxy.x86_64.ts";

const TOP = 0x7ffffffff000n;

describe("pairFunctions", () => {
	const own = new Map([
		["__vdso_time", 0x100],
		["time", 0x100],
		["__vdso_getcpu", 0x200],
	]);

	test("pairs by name, each place once", () => {
		const old = new Map([
			["__vdso_time", 0x500],
			["time", 0x500],
			["__vdso_getcpu", 0x540],
		]);
		const { jumps, problem } = pairFunctions(old, own, 0x1000);
		expect(problem).toBeUndefined();
		expect([...jumps]).toEqual([
			[0x500, 0x100],
			[0x540, 0x200],
		]);
	});

	test("leaves alone what asks the kernel anyway", () => {
		const old = new Map([
			["__vdso_time", 0x500],
			["__vdso_getrandom", 0x600],
		]);
		expect(pairFunctions(old, own, 0x1000)).toMatchObject({ kept: ["__vdso_getrandom"], problem: undefined });
	});

	test.each([
		["a function that isn't here", [["__vdso_clock_gettime", 0x500]], "this kernel's vdso has no __vdso_clock_gettime"],
		[
			"two functions in one place",
			[
				["time", 0x500],
				["__vdso_getcpu", 0x500],
			],
			"__vdso_getcpu is no function of its own",
		],
		[
			"functions without room for a jump",
			[
				["time", 0x500],
				["__vdso_getcpu", 0x504],
			],
			"its functions are too short",
		],
		["a function at the very end", [["time", 0xffd]], "its functions are too short"],
		["no function at all", [], "it has no function that this kernel's has"],
	] as [string, [string, number][], string][])("refuses %s", (_what, old, problem) => {
		expect(pairFunctions(new Map(old), own, 0x1000).problem).toBe(problem);
	});
});

test("a jump leads from place to place, forwards and backwards", () => {
	const bytes = writeJumps(new Uint8Array(64), new Map([[16, 0x20]]), 0x10000n, 0x20000n);
	expect(bytes[16]).toBe(0xe9);
	expect(new DataView(bytes.buffer).getInt32(17, true)).toBe(0x20020 - 0x10015);
	const back = writeJumps(new Uint8Array(64), new Map([[16, 0x20]]), 0x20000n, 0x10000n);
	expect(new DataView(back.buffer).getInt32(17, true)).toBe(0x10020 - 0x20015);
});

describe("findPlaceNear", () => {
	const vdso = { start: 0x7ffd00100000n, end: 0x7ffd00102000n };

	test("takes the next room above or below", () => {
		expect(findPlaceNear(vdso.start, 0x8000n, [vdso])).toBe(vdso.start - 0x10000n - 0x8000n);
		const below = { start: 0x7ffd00000000n, end: vdso.start };
		expect(findPlaceNear(vdso.start, 0x8000n, [below, vdso])).toBe(vdso.end + 0x10000n);
	});

	test("keeps away from what grows", () => {
		const stack = { start: 0x7ffd00000000n, end: 0x7ffd00020000n, grows: "down" as const };
		const heap = { start: 0x7ffc00000000n, end: 0x7ffcfff00000n, grows: "up" as const };
		const above = { start: vdso.end, end: TOP };
		const between = { start: stack.end, end: vdso.start };
		expect(findPlaceNear(vdso.start, 0x8000n, [heap, stack, between, vdso, above])).toBeUndefined();
		const lower = { ...heap, start: 0x7ffb00000000n, end: 0x7ffcc0000000n };
		expect(findPlaceNear(vdso.start, 0x8000n, [lower, stack, between, vdso, above])).toBe(
			stack.start - (1n << 28n) - 0x8000n,
		);
	});

	test("takes nothing that a jump doesn't reach", () => {
		const far = { start: 0x10000n, end: 0x7ffd00000000n };
		const rest = { start: 0x7ffd00000000n, end: TOP };
		expect(findPlaceNear(vdso.start, 0x8000n, [far, rest])).toBeUndefined();
		expect(
			findPlaceNear(vdso.start, 0x8000n, [
				{ ...far, end: 0x7ffc00000000n },
				{ ...rest, start: 0x7ffc00010000n },
			]),
		).toBeUndefined();
	});
});
