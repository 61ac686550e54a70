// SPDX-License-Identifier: GPL-2.0-only
// criu dies, or fails, at each fault point of a restore: no process, pid file or other file is left, and a second restore
// of the same images works.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FAULT_POINTS } from "../../src/fault.ts";
import { stateOf } from "../matrix/snapshot.ts";
import { type CriuRun, Victim } from "./victim.ts";

const SIGKILL = 9;
const isRoot = process.getuid?.() === 0;
const restorePoints = FAULT_POINTS.filter((point) => point.startsWith("restore:"));
/** From there on the program is on its own; what fails then can't take it back. */
const LAST = "restore:detached";

let victim: Victim;
let images: string;

beforeAll(async () => {
	if (!isRoot) return;
	victim = await Victim.start({ name: "with a deleted file", mode: "ghost" });
	images = victim.makeImages();
	const { ending, output } = await victim.criu(["dump", "-t", String(victim.pid)], images);
	expect({ ...ending, output }).toEqual({ how: "exit", code: 0, output: "" });
	await victim.stage.died(victim.pid);
});

afterAll(async () => {
	if (isRoot) await victim[Symbol.asyncDispose]();
});

/** Pids in the stage but its own pid 1 and the dead. */
function listPids(): number[] {
	const proc = `/proc/${victim.stage.outerPid}/root/proc`;
	const pids = readdirSync(proc).filter((name) => /^\d+$/.test(name) && name !== "1");
	return pids.filter((pid) => !/^[ZX]$/.test(stateOf(`${proc}/${pid}`) ?? "X")).map(Number);
}

async function untilNobodyIsLeft(): Promise<void> {
	const deadline = performance.now() + 5000;
	while (listPids().length > 0) {
		if (performance.now() > deadline) throw new Error(`pids ${listPids()} are left`);
		await Bun.sleep(1);
	}
}

const listFiles = () =>
	readdirSync(victim.dir, { recursive: true })
		.map(String)
		.filter((name) => !/^run\d+$|^stats-|^pid$/.test(name))
		.sort();

function expectFault({ ending, output }: CriuRun, point: string, action: string): void {
	if (action === "kill") expect(ending).toEqual({ how: "signal", code: SIGKILL });
	else {
		expect(ending).toEqual({ how: "exit", code: 1 });
		expect(output).toContain(`error: fault injected at ${point}`);
	}
}

/** A restore without faults, the proof that the program is well, and its end. */
async function restoreAndEnd(options: readonly string[], after: string): Promise<void> {
	const pidfile = join(victim.dir, "pid");
	const run = await victim.criu(["restore", "-d", "--pidfile", pidfile, ...options], images);
	expect(run).toEqual({ ending: { how: "exit", code: 0 }, output: expect.any(String) });
	const inside = Number(readFileSync(pidfile, "utf8"));
	await victim.expectProgress(after);
	await victim.stage.run("/dev/null", "/", ["sh", "-c", `kill -9 ${inside}; rm ${pidfile}`]);
	await untilNobodyIsLeft();
}

describe.skipIf(!isRoot)("a restore", () => {
	for (const options of [[], ["--new-pidns"]])
		for (const action of ["error", "kill"])
			for (const point of restorePoints.filter((point) => point !== LAST))
				test(`${options.join(" ")} leaves nothing behind when criu meets ${action} at ${point}`, async () => {
					const before = listFiles();
					const run = await victim.criu(
						["restore", "-d", "--pidfile", join(victim.dir, "pid"), ...options],
						images,
						`${point}:${action}`,
					);
					expectFault(run, point, action);
					await untilNobodyIsLeft();
					expect(listFiles()).toEqual(before);
					// kill -9 can't clean up: a pid file whose process is gone is what any daemon leaves.
					if (action === "error") expect(existsSync(join(victim.dir, "pid"))).toBe(false);
					else await victim.stage.run("/dev/null", "/", ["rm", "-f", join(victim.dir, "pid")]);
					await restoreAndEnd(options, `${action} at ${point}`);
				}, 60_000);

	for (const action of ["error", "kill"])
		test(`is done when criu meets ${action} at ${LAST}: the program runs`, async () => {
			const run = await victim.criu(["restore", "-d"], images, `${LAST}:${action}`);
			expectFault(run, LAST, action);
			await victim.expectProgress(action);
			await victim.stage.kill(victim.pid, SIGKILL);
			await untilNobodyIsLeft();
		}, 60_000);
});
