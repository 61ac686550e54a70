// SPDX-License-Identifier: GPL-2.0-only
// What is noted of a timer that goes off while it is asked.

import { describe, expect, test } from "bun:test";
import { findNewSignals } from "../../../src/kinds/task/pending-signals.ts";
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

/** A siginfo_t with si_signo, si_code and what lies at 16: si_pid or si_timerid. */
function siginfo(signo: number, code: number, at16: number, overrun = 0): Uint8Array {
	const bytes = new Uint8Array(128);
	const view = new DataView(bytes.buffer);
	view.setInt32(0, signo, true);
	view.setInt32(8, code, true);
	view.setInt32(16, at16, true);
	view.setInt32(20, overrun, true);
	return bytes;
}

describe("signals that have come since the last look", () => {
	const SI_TIMER = -2;
	const [stop, first, second] = [siginfo(19, 0, 7), siginfo(10, 0, 7), siginfo(34, -1, 7)];

	test("are those which aren't noted, each as often as it came", () => {
		expect(findNewSignals([first], [first, second, second])).toEqual([second, second]);
		expect(findNewSignals([first, second], [first, second])).toEqual([]);
	});

	test("are told also when a noted one is gone", () => {
		expect(findNewSignals([stop, first], [first, second])).toEqual([second]);
	});

	test("of a timer are one, however its overruns grow", () => {
		expect(findNewSignals([siginfo(34, SI_TIMER, 3, 0)], [siginfo(34, SI_TIMER, 3, 5)])).toEqual([]);
		expect(findNewSignals([siginfo(34, SI_TIMER, 3)], [siginfo(34, SI_TIMER, 4)])).toHaveLength(1);
	});
});
