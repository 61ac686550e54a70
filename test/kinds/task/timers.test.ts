// SPDX-License-Identifier: GPL-2.0-only
// What is noted of a timer that goes off while it is asked.

import { describe, expect, test } from "bun:test";
import { leftAfterFiring } from "../../../src/kinds/task/timers.ts";

describe("a timer whose signal is noted after the first look", () => {
	test.each([
		["one-shot, asked after it went off", { value: 0n, interval: 0n }, 0n],
		["one-shot, asked before it went off", { value: 5n, interval: 0n }, 0n],
		["periodic, asked before it went off: its next time counts", { value: 5n, interval: 1000n }, 1005n],
		["periodic, asked right when it went off", { value: 20n, interval: 1000n }, 1020n],
		["periodic, asked after it went off: the next time was told", { value: 990n, interval: 1000n }, 990n],
		["periodic, not armed again yet", { value: 0n, interval: 1000n }, 0n],
	])("%s", (_what, times, left) => {
		expect(leftAfterFiring(times, 20n)).toBe(left);
	});
});
