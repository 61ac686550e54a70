// SPDX-License-Identifier: GPL-2.0-only
// How the memory of a restore is divided among agents.

import { describe, expect, test } from "bun:test";
import { PAGE_SIZE } from "../../src/agent/layout.ts";
import { initSlot, layOutSite, shrinkSite, slotOf } from "../../src/agent/site.ts";

describe("an area that is larger than its programs", () => {
	const whole = layOutSite(100 * PAGE_SIZE, 20);

	test("gives back memory and keeps its addresses", () => {
		const small = shrinkSite(whole, 3 * PAGE_SIZE - 1);
		expect(small.programLength).toBe(3 * PAGE_SIZE);
		expect(small.reserved).toBe(whole.areaLength);
		expect(whole.areaLength - small.areaLength).toBe(whole.windows * 97 * PAGE_SIZE);
		for (const slot of [slotOf(small, 0), slotOf(small, 20), initSlot(small)])
			expect(slot.stack).toBeLessThanOrEqual(small.areaLength);
	});

	test("never grows", () => {
		expect(shrinkSite(whole, 200 * PAGE_SIZE)).toEqual(whole);
	});
});
