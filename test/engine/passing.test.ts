// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "bun:test";
import { choosePause, findRefusals } from "../../src/engine/passing.ts";
import { AvoidableError, PassingError, UnsupportedError } from "../../src/errors.ts";

const refusal = new UnsupportedError("A", "never", {});
const passing = new PassingError("B", "soon", {});
const avoidable = new AvoidableError("C", "better not", {});

/** How often a tree is looked at again. */
function countTurns(blockers: Parameters<typeof choosePause>[0]): number {
	let turns = 0;
	while (choosePause(blockers, turns) !== undefined) turns++;
	return turns;
}

test("what passes is waited for, what can be avoided for a shorter while, what stays not at all", () => {
	expect([[], [refusal, passing], [passing, avoidable], [avoidable]].map(countTurns)).toEqual([0, 0, 9, 3]);
});

test("what can be avoided is no reason to refuse", () => {
	expect(findRefusals([refusal, passing, avoidable])).toEqual([refusal, passing]);
	expect(findRefusals([avoidable])).toEqual([]);
});
