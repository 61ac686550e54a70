// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import { type CheckTables, checkHost, featureProbes, requirements } from "../../src/engine/check.ts";
import { features } from "../../src/engine/features.ts";
import { KernelError } from "../../src/errors.ts";

const plain = { extra: false, experimental: false };
const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.log("skipped: probes of this kernel need root");

function tables(changes: Partial<CheckTables>): CheckTables {
	return {
		requirements: [{ what: "air", probe: () => undefined, remedy: "breathe" }],
		features: [
			{ name: "good", meaning: "there", level: "extra" },
			{ name: "bad", meaning: "not there", level: "extra" },
			{ name: "odd", meaning: "throws", level: "experimental" },
		],
		probes: {
			good: () => undefined,
			bad: () => "it is missing",
			odd: () => {
				throw new KernelError("ioctl", 25);
			},
		},
		...changes,
	};
}

describe("checkHost", () => {
	test("looks good when every requirement is met", () => {
		expect(checkHost(undefined, plain, tables({}))).toEqual({ ok: true, lines: ["Looks good."], problems: [] });
	});

	test("stops at the first requirement that is not met, with its remedy", () => {
		const requirements = [
			{ what: "air", probe: () => "there is none", remedy: "breathe" },
			{ what: "water", probe: () => "dry", remedy: "drink" },
		];
		const result = checkHost(undefined, plain, tables({ requirements }));
		expect(result).toMatchObject({ ok: false, lines: [] });
		expect(result.problems.map((p) => [p.message, p.remedy])).toEqual([["air: there is none", "breathe"]]);
	});

	test("tells missing features of the level", () => {
		const extra = checkHost(undefined, { extra: true, experimental: false }, tables({}));
		expect(extra.ok).toBe(false);
		expect(extra.lines[0]).toBe("Looks good but some kernel features are missing");
		expect(extra.problems.map((p) => p.message)).toEqual(["feature bad (not there): it is missing"]);
		const all = checkHost(undefined, { extra: true, experimental: true }, tables({}));
		expect(all.problems).toHaveLength(2);
	});

	test.each([
		["good", true, ["good is supported"]],
		["bad", false, []],
		["odd", false, []],
		["nonsense", false, []],
	])("answers for feature %s", (name, ok, lines) => {
		expect(checkHost(name, plain, tables({}))).toMatchObject({ ok, lines });
	});

	test("tells how a missing feature is had", () => {
		const missing = { name: "bad", meaning: "not there", level: "extra", remedy: "build it: houses need it" } as const;
		const [problem] = checkHost("bad", plain, tables({ features: [missing] })).problems;
		expect(problem?.remedy).toBe("build it: houses need it");
	});

	test("has its own answer for unknown names", () => {
		expect(checkHost("list", plain).problems[0]?.message).toBe("Unknown feature list");
	});
});

describe("features", () => {
	test("have each name once, and every probe has a feature", () => {
		const names = features.map((f) => f.name as string);
		expect(new Set(names).size).toBe(names.length);
		for (const name of Object.keys(featureProbes)) expect(names).toContain(name);
	});
});

describe.skipIf(!isRoot)("probes of this kernel", () => {
	test.each(requirements.map((r) => [r.what, r] as const))("%s", (_what, requirement) => {
		expect(requirement.probe()).toBeUndefined();
	});

	test.each(Object.entries(featureProbes))("%s is answered and leaves no descriptor behind", (name) => {
		checkHost(name, plain);
		const before = countDescriptors();
		checkHost(name, plain);
		expect(countDescriptors()).toBe(before);
	});
});

function countDescriptors(): number {
	return [...new Bun.Glob("*").scanSync({ cwd: "/proc/self/fd", onlyFiles: false })].length;
}
