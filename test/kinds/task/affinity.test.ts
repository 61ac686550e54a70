// SPDX-License-Identifier: GPL-2.0-only
// The CPUs that a thread is bound to: the kernel's lists of them, and what a restore does with a mask.

import { describe, expect, test } from "bun:test";
import { ImageError } from "../../../src/errors.ts";
import { affinity, parseCpuList } from "../../../src/kinds/task/affinity.ts";
import { dumpLive, emptyDraft, emptyPlan, imageOf, planKind, restoreContext, Sleeper, told } from "./fixtures.ts";

/** What a restore does on a machine with CPUs 0 to 3, all of them criu's, for a thread bound to these. */
function planFor(mask: readonly number[], own = [0x0f]): string[] {
	const draft = emptyDraft();
	Object.assign(draft.core.threadCore ?? {}, { cpuAffinity: Uint8Array.from(mask) });
	const plan = emptyPlan();
	const facts = { "own:affinity": Uint8Array.from(own), "host:cpus": parseCpuList("0-3") };
	planKind(affinity, imageOf(1, draft), plan, restoreContext(facts));
	return told(plan, "state");
}

describe("a list of CPUs", () => {
	test("becomes a mask", () => {
		expect(parseCpuList("0-1\n")).toEqual(Uint8Array.of(3));
		expect(parseCpuList("0,2-3,9")).toEqual(Uint8Array.of(0x0d, 2));
		expect(parseCpuList("4096-4097")).toHaveLength(513);
	});

	test("that is none is refused", () => {
		expect(() => parseCpuList("")).toThrow(TypeError);
		expect(() => parseCpuList("a-b")).toThrow(TypeError);
	});
});

describe("a restore", () => {
	test("binds a thread whose CPUs are others than criu's", () => {
		expect(planFor([2])).toEqual(["bind to CPUs"]);
		expect(planFor([0x0f])).toEqual([]);
		expect(planFor([0x0f, 0, 0])).toEqual([]);
	});

	test("takes those CPUs that are there, and none where none is", () => {
		expect(planFor([0x12])).toEqual(["bind to CPUs"]);
		expect(planFor([0x10])).toEqual([]);
	});

	test("refuses a mask without a CPU, or longer than any kernel's", () => {
		expect(() => planFor([0])).toThrow(ImageError);
		expect(() => planFor(new Array(1025).fill(1))).toThrow(ImageError);
	});
});

test("a dump keeps CPUs that aren't criu's", async () => {
	await using sleeper = await Sleeper.start(["taskset", "-c", "0", "sleep", "1000"]);
	await using free = await Sleeper.start(["sleep", "1000"]);
	expect(dumpLive(sleeper.pid, [affinity]).core.threadCore?.cpuAffinity).toEqual(Uint8Array.of(1));
	expect(dumpLive(free.pid, [affinity]).core.threadCore?.cpuAffinity).toHaveLength(0);
});
