// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import { placeChain, placeThreadChains, type StackFacts } from "../../src/agent/chain-place.ts";
import { REG, REGS_SIZE } from "../../src/agent/registers.x86_64.ts";
import type { VmaFacts } from "../../src/kernel/procfs/maps.ts";

const STACK = { start: 0x7ffd00000000n, end: 0x7ffd00021000n };
const SIZE = 3400;

function vma(start: bigint, end: bigint): VmaFacts {
	return { start, end, prot: 3 } as VmaFacts;
}

function regsAt(sp: bigint): BigUint64Array {
	const regs = new BigUint64Array(REGS_SIZE / 8);
	regs[REG.sp] = sp;
	return regs;
}

const facts: StackFacts = { pid: 1, vmas: [vma(STACK.start, STACK.end)], startStack: STACK.end - 0x200n };
const elsewhere = Array.from({ length: 100 }, (_, i) => ({
	tid: 2 + i,
	regs: regsAt(0x7f0000000000n + BigInt(i) * 0x10000n),
	size: SIZE - (i % 3) * 64,
}));

describe("placeThreadChains", () => {
	const leader = regsAt(STACK.end - 0x1000n);
	const address = placeChain(facts, leader, SIZE * 2);
	const taken = { start: address, end: address + BigInt(SIZE * 2) };

	test("gives many threads places that are apart from each other and from the agent's chain", () => {
		for (let round = 0; round < 50; round++) {
			const places = placeThreadChains(facts, elsewhere, leader, taken).map((start) => ({
				start,
				end: start + BigInt(SIZE),
			}));
			expect(places.length).toBeGreaterThan(10);
			const all = [...places, taken].sort((a, b) => (a.start < b.start ? -1 : 1));
			for (const [i, place] of all.entries()) {
				expect(place.start % 64n === 0n || place === taken).toBe(true);
				expect(place.start).toBeGreaterThanOrEqual(STACK.start);
				if (place !== taken) expect(place.end).toBeLessThan(STACK.end - 0x11000n);
				if (i > 0) expect(place.start).toBeGreaterThanOrEqual(all[i - 1]?.end ?? 0n);
			}
		}
	});

	test("gives no more places than threads", () => {
		expect(placeThreadChains(facts, elsewhere.slice(0, 3), leader, taken)).toHaveLength(3);
		expect(placeThreadChains(facts, [], leader, taken)).toEqual([]);
	});

	test("keeps off what the agent's thread has deep in its stack", () => {
		const deep = regsAt(STACK.start + 0x1c000n);
		const chain = placeChain(facts, deep, SIZE);
		const places = placeThreadChains(facts, elsewhere, deep, { start: chain, end: chain + BigInt(SIZE) });
		expect(places.length).toBeGreaterThan(0);
		for (const place of places) expect(place + BigInt(SIZE)).toBeLessThanOrEqual(chain - 0x10000n);
	});

	test("keeps off the agent's chain when that lies low in the main stack", () => {
		const away = regsAt(0x7e0000000000n);
		for (let round = 0; round < 50; round++) {
			const chain = placeChain(facts, away, SIZE * 2);
			const end = chain + BigInt(SIZE * 2);
			for (const place of placeThreadChains(facts, elsewhere, away, { start: chain, end }))
				expect(place + BigInt(SIZE) <= chain || place >= end).toBe(true);
		}
	});

	test("refuses where there's no room at all", () => {
		const full = regsAt(STACK.start + 0x12000n);
		const none = { start: STACK.start, end: STACK.start };
		expect(() => placeThreadChains(facts, elsewhere, full, none)).toThrow(/no free room/);
	});
});
