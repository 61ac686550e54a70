// SPDX-License-Identifier: GPL-2.0-only
// criu is killed, or fails, at each point of its dump of a scenario's program, which has to stay as it is and pass at the end.

import { expect } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FAULT_POINTS, type FaultPoint } from "../../src/fault.ts";
import { buildScenario, buildStage, listScenarios, type Scenario } from "../matrix/scenario.ts";
import { stateOf } from "../matrix/snapshot.ts";
import { Stage } from "../matrix/stage.ts";
import { criu } from "./victim.ts";

const SIGTERM = 15;

const dumpPoints = FAULT_POINTS.filter((point) => !point.startsWith("restore:"));

export interface FaultCase {
	/** Of a scenario. */
	readonly name: string;
	/** The agent's memory may be left: the program can't unmap any. */
	readonly keepsArea?: boolean;
	/** Only these points, in place of all. */
	readonly points?: readonly FaultPoint[];
	/** A point that it can't survive whatever criu does. */
	readonly skip?: { readonly point: string; readonly action: string };
}

async function openCase(name: string): Promise<{ stage: Stage; dir: string; program: string; scenario: Scenario }> {
	const scenario = listScenarios().find((one) => one.name === name);
	if (scenario === undefined) throw new Error(`no scenario ${name}`);
	const program = await buildScenario(scenario);
	const dir = mkdtempSync(join(tmpdir(), "scenario-faults-"));
	chmodSync(dir, 0o755);
	return {
		stage: await Stage.open({ program: await buildStage(), log: join(dir, "stage.log") }),
		dir,
		program,
		scenario,
	};
}

/** What has to stay: threads and their masks; mappings as well unless the agent's may be left. */
function look(path: string, keepsArea: boolean): string {
	const threads = readdirSync(`${path}/task`).map((tid) => {
		const status = readFileSync(`${path}/task/${tid}/status`, "latin1");
		return [tid, ...(status.match(/^(Sig(Blk|Ign|Cgt)|Seccomp\w*):.*$/gm) ?? [])].join(" ");
	});
	return [...threads, ...(keepsArea ? [] : [readFileSync(`${path}/maps`, "latin1")])].join("\n");
}

/** Waits for the end of what the agent does on its own. */
async function expectSame(path: string, before: string, keepsArea: boolean, after: string): Promise<void> {
	const deadline = performance.now() + 5000;
	while (look(path, keepsArea) !== before && performance.now() < deadline) await Bun.sleep(1);
	expect(`${after}\n${look(path, keepsArea)}`).toBe(`${after}\n${before}`);
}

/** Plays `action` ("kill", "error") at each point in turn, on one process. */
export async function playScenarioFaults(one: FaultCase, action: string): Promise<void> {
	const { name, keepsArea = false, skip, points = dumpPoints } = one;
	const { stage, dir, program, scenario } = await openCase(name);
	try {
		const out = join(dir, "out");
		const pid = await stage.start(out, dir, [program, out]);
		await stage.ready(pid);
		const path = stage.procPath(pid);
		while (stateOf(path) !== "S") await Bun.sleep(1);
		// A strict one says that it's ready before it is in that mode.
		await Bun.sleep(20);
		const before = look(path, keepsArea);
		for (const point of points) {
			if (point === skip?.point && action === skip.action) continue;
			const images = mkdtempSync(join(dir, "images-"));
			const args = ["env", `CR_FAULT=${point}:${action}`, criu, "dump", "-t", String(pid), "-R", "-D", images];
			await stage.run(join(dir, "run"), dir, args);
			await expectSame(path, before, keepsArea, point);
			rmSync(images, { recursive: true });
		}
		if (scenario.trigger === "file") writeFileSync(`${out}.go`, "");
		else await stage.kill(pid, SIGTERM);
		expect(await stage.died(pid)).toEqual({ how: "exit", code: 0 });
		expect(readFileSync(out, "latin1")).toContain("PASS\n");
	} finally {
		await stage.close();
		rmSync(dir, { recursive: true, force: true });
	}
}
