// SPDX-License-Identifier: GPL-2.0-only
// criu dies, or fails, at each of its fault points in turn: the target must not notice. The next fault of the same target
// shows that it can be dumped again; a whole cycle ends each series.

import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { readImages } from "../../src/engine/images.ts";
import { ImageError } from "../../src/errors.ts";
import { FAULT_POINTS, type FaultPoint } from "../../src/fault.ts";
import { ImageDir } from "../../src/images/index.ts";
import { limitJobs } from "../matrix.ts";
import { CROWDS, type CriuRun, mayBreakOff, VICTIMS, Victim, type VictimKind } from "./victim.ts";

/** Targets that never rest take the processors from each other's dumps: three at a time take three times as long as one by one. */
const inTurn = limitJobs(1);
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("faults: skipped, since checkpointing needs root");

const dumpPoints = FAULT_POINTS.filter((point) => !/^(restore|freeze|look|pre-dump|snapshot):/.test(point));
/** A dump that leaves the target running differs there only. */
const leaving: readonly FaultPoint[] = ["dump:collected", "dump:pages", "dump:images", "dump:inventory", "dump:end"];
/** What a restore says to the images that are there at some points; to those of all others that there are none. */
const verdicts: Partial<Record<FaultPoint, string>> = {
	"dump:pages": "DUMP_INCOMPLETE",
	"dump:images": "DUMP_INCOMPLETE",
	"dump:inventory": "none",
	"dump:end": "none",
};

function errorCode(action: () => unknown): string {
	try {
		action();
		return "none";
	} catch (error) {
		if (error instanceof ImageError) return error.code;
		throw error;
	}
}

/** What a restore would say to these images. */
function judgeImages(path: string): string {
	using dir = ImageDir.open(path);
	return errorCode(() => readImages(dir));
}

function expectFault(run: CriuRun, point: FaultPoint, action: string): void {
	const { ending, output } = run;
	if (action.startsWith("kill")) expect({ ...ending, output }).toEqual({ how: "signal", code: 9, output: "" });
	else {
		expect(ending).toEqual({ how: "exit", code: 1 });
		expect(output).toContain(`error: fault injected at ${point}`);
		expect(output).not.toContain("cleaning up failed");
	}
}

async function playFault(victim: Victim, point: FaultPoint, action: string, options: readonly string[]): Promise<void> {
	const images = victim.makeImages();
	const run = await victim.criu(["dump", "-t", String(victim.pid), ...options], images, `${point}:${action}`);
	expectFault(run, point, action);
	await victim.expectUnharmed(`${action} at ${point}`);
	expect(`${point}: ${judgeImages(images)}`).toBe(`${point}: ${verdicts[point] ?? "IMAGE_MISSING"}`);
	rmSync(images, { recursive: true });
}

/** All points in all passages also for targets of many tasks, which takes minutes. */
const thorough = process.env["CRIU_FAULTS"] === "all";

/** A target of one thread, or one that stands, is as good as another for what a dump does beside the target. */
const plain: readonly string[] = ["computing with all registers", "stopped by SIGSTOP"];

/** Passages of a point that are tried. In a tree the first, those in the middle and the last differ. */
function passagesOf({ mode, name }: VictimKind, point: FaultPoint, action: string): readonly string[] {
	const isTree = mode.includes("/");
	const ofThread = point.startsWith("thread:");
	const ofTask = /^(infect|agent|cure):|^dump:(seized|cured)$/.test(point);
	if (!mode.includes(",")) return !ofThread && (ofTask || thorough || plain.includes(name)) ? [""] : [];
	if (thorough) return ofThread ? ["", ":3"] : ofTask && isTree ? ["", ":2", ":5"] : [""];
	if (ofThread) return [":2"];
	if (ofTask) return isTree ? [":4"] : [""];
	return isTree && action === "kill" ? [""] : [];
}

async function playAll(kind: VictimKind, action: string): Promise<void> {
	await using victim = await Victim.start(kind);
	for (const point of dumpPoints) {
		const passages = passagesOf(kind, point, action);
		// Without -R the target has been dumped, and ended, when the last point comes.
		if (point !== "dump:end") for (const passage of passages) await playFault(victim, point, `${action}${passage}`, []);
		if (leaving.includes(point) && passages.length > 0) await playFault(victim, point, action, ["-R"]);
	}
	// A storm of signals ends calls by itself.
	if (!kind.storm && (action === "error" || !mayBreakOff(kind))) expect(victim.eintr).toBe(0);
	else if (!kind.storm) expect(victim.eintr).toBeLessThanOrEqual(2);
	await victim.cycle(`${action} at every point`);
}

describe.skipIf(!isRoot)("a target goes on unharmed, and can be dumped again, when criu", () => {
	for (const kind of [...VICTIMS, ...CROWDS]) {
		test.concurrent(
			`is killed at any point of its dump: target ${kind.name}`,
			() => inTurn(() => playAll(kind, "kill")),
			900_000,
		);
		test.concurrent(
			`fails at any point of its dump: target ${kind.name}`,
			() => inTurn(() => playAll(kind, "error")),
			900_000,
		);
	}
});

describe.skipIf(!isRoot)("a dump that ends its target", () => {
	for (const action of ["kill", "error"])
		test.concurrent(
			`has whole images when criu meets ${action} right after`,
			() =>
				inTurn(async () => {
					await using victim = await Victim.start({ name: "computing", mode: "busy" });
					const images = victim.makeImages();
					expectFault(
						await victim.criu(["dump", "-t", String(victim.pid)], images, `dump:end:${action}`),
						"dump:end",
						action,
					);
					await victim.stage.died(victim.pid);
					const restored = await victim.criu(["restore", "-d"], images);
					expect(restored).toEqual({ ending: { how: "exit", code: 0 }, output: "" });
					await victim.expectProgress("restore");
				}),
			900_000,
		);
});
