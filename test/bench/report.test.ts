// SPDX-License-Identifier: GPL-2.0-only
// From samples to tables: medians, absent sides, stages, failures.

import { describe, expect, test } from "bun:test";
import type { Round } from "../../bench/measure.ts";
import {
	formatComparison,
	formatCopies,
	formatFailures,
	formatStages,
	type LoadResult,
	toJson,
} from "../../bench/report.ts";

function makeRound(dumpUs: number, restoreUs: number, stages: { name: string; us: number }[] = []): Round {
	const cost = { maxRssKib: 2048, userUs: 1, systemUs: 1 };
	return {
		dump: { ...cost, wallUs: dumpUs, frozenUs: dumpUs / 2, stages },
		restore: { ...cost, wallUs: restoreUs, frozenUs: undefined, stages: [] },
	};
}

const stages = [
	{ name: "freeze", us: 2000 },
	{ name: "memory", us: 5000 },
];
const both: LoadResult = {
	load: { name: "one", title: "one load" },
	ours: { rounds: [makeRound(10_000, 4_000, stages), makeRound(12_000, 4_000, stages)], failure: undefined },
	peer: { rounds: [makeRound(22_000, 16_000), makeRound(22_000, 16_000)], failure: undefined },
};
const failed: LoadResult = {
	load: { name: "two", title: "another" },
	ours: { rounds: [], failure: "dump: exit code 1: no" },
	peer: undefined,
};

test("the machine's own copy is a fraction of the stage that moves memory", () => {
	const rounds = [4_000, 3_000].map((copyUs) => ({ ...makeRound(10_000, 4_000, stages), copyUs }));
	const copied = { ...both, ours: { rounds, failure: undefined } };
	expect(formatCopies([both, copied, failed])).toBe("one load: copy 3.50 | dump 5.00 (70 %)");
});

describe("the comparison", () => {
	test("has a row for each operation, with medians and their ratio", () => {
		const [, , dump = "", restore = ""] = formatComparison([both]).split("\n");
		expect(dump.split(/ {2,}/)).toEqual([
			"one load",
			"dump",
			"11.0",
			"22.0",
			"0.50",
			"10.0",
			"22.0",
			"0.45",
			"5.50",
			"11.0",
			"2.0",
			"2.0",
			"2",
		]);
		expect(restore.trim().split(/ {2,}/)).toEqual([
			"restore",
			"4.00",
			"16.0",
			"0.25",
			"4.00",
			"16.0",
			"0.25",
			"-",
			"-",
			"2.0",
			"2.0",
		]);
	});

	test("has dashes for a side that failed or isn't there", () => {
		const [, , dump = ""] = formatComparison([failed]).split("\n");
		expect(dump.split(/ {2,}/)).toEqual(["another", "dump", ...Array(10).fill("-"), "0"]);
	});
});

describe("the stages", () => {
	test("come with the time outside of them, only where criu told any", () => {
		expect(formatStages([both, failed])).toBe("one load, dump: (outside) 4.00 | freeze 2.00 | memory 5.00");
	});
});

test("failures name load and side", () => {
	expect(formatFailures([both, failed])).toBe("another, ours: dump: exit code 1: no");
	expect(formatFailures([both])).toBe("");
});

test("the JSON holds what it's told, medians and all samples", () => {
	const json = JSON.parse(toJson([both, failed], { machine: "here" }));
	expect(json.machine).toBe("here");
	expect(json.loads[0].wallUs.ours.dump.median).toBe(11_000);
	expect(json.loads[0].peer.rounds).toHaveLength(2);
	expect(json.loads[1].wallUs.ours.dump).toBeNull();
	expect(json.loads[1].peer).toBeNull();
});
