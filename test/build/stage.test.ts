// SPDX-License-Identifier: GPL-2.0-only
// Build stages run when, and only when, something that they are made from has changed.

import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listFiles, runStage, type Stage, type StageContext, writeAtomically } from "../../scripts/build/stage.ts";

const dir = mkdtempSync(join(tmpdir(), "criu-stage-"));
let round = 0;
let runs = 0;
let context: StageContext;
let stage: Stage;
let input: string;
let output: string;

beforeEach(() => {
	const root = join(dir, String(round++));
	input = join(root, "in/source");
	output = join(root, "out/result");
	runs = 0;
	writeAtomically(input, "one");
	context = { root, stampDir: join(root, "stamps"), force: false, report: () => undefined };
	stage = {
		name: "stage",
		inputs: [join(root, "in"), join(root, "absent")],
		settings: ["-O2"],
		outputs: [output],
		run: () => writeFileSync(output, `run ${++runs}`),
	};
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("runStage", async () => {
	test("runs once while nothing changes", async () => {
		expect([await runStage(stage, context), await runStage(stage, context), runs]).toEqual([true, false, 1]);
	});

	test("does not care for times", async () => {
		await runStage(stage, context);
		utimesSync(input, new Date(0), new Date(0));
		expect(await runStage(stage, context)).toBe(false);
	});

	test("runs again when an input's content, a file's presence, or a setting changes", async () => {
		await runStage(stage, context);
		writeFileSync(input, "two");
		expect(await runStage(stage, context)).toBe(true);
		writeFileSync(`${input}.more`, "");
		expect(await runStage(stage, context)).toBe(true);
		expect(await runStage({ ...stage, settings: ["-O3"] }, context)).toBe(true);
		expect(await runStage({ ...stage, settings: ["-O3"] }, context)).toBe(false);
	});

	test("runs again when an output is gone or was changed by somebody else", async () => {
		await runStage(stage, context);
		rmSync(output);
		expect(await runStage(stage, context)).toBe(true);
		writeFileSync(output, "other");
		expect(await runStage(stage, context)).toBe(true);
	});

	test("runs again after it has failed, and when forced", async () => {
		const broken: Stage = {
			...stage,
			run: () => {
				throw new Error("no compiler");
			},
		};
		await expect(runStage(broken, context)).rejects.toThrow("no compiler");
		expect(await runStage(stage, context)).toBe(true);
		expect(await runStage(stage, { ...context, force: true })).toBe(true);
	});

	test("fails when an output was not made", async () => {
		await expect(runStage({ ...stage, run: () => undefined }, context)).rejects.toThrow("did not make all its outputs");
	});
});

describe("writeAtomically", () => {
	test("sets the mode and leaves no draft behind", () => {
		const path = join(dir, "tool/run");
		writeAtomically(path, "#!/bin/sh\n", 0o755);
		expect(statSync(path).mode & 0o777).toBe(0o755);
		expect(readdirSync(join(dir, "tool"))).toEqual(["run"]);
	});
});

describe("listFiles", () => {
	test("walks folders in a fixed order and takes what is absent for empty", () => {
		const root = join(dir, "tree");
		for (const name of ["b/y", "a", "b/x"]) writeAtomically(join(root, name), "");
		expect(listFiles(root)).toEqual(["a", "b/x", "b/y"].map((name) => join(root, name)));
		expect(listFiles(join(root, "absent"))).toEqual([]);
	});
});
