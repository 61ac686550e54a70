// SPDX-License-Identifier: GPL-2.0-only
// criu is killed, or fails, at each point of its dump of a scenario's program, which has to stay as it is and pass at the end.

import { expect } from "bun:test";
import {
	chmodSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FAULT_POINTS, type FaultPoint } from "../../src/fault.ts";
import { buildScenario, buildStage, listScenarios, type Scenario } from "../matrix/scenario.ts";
import { stateOf } from "../matrix/snapshot.ts";
import { type Ending, Stage } from "../matrix/stage.ts";
import { criu } from "./victim.ts";

const SIGTERM = 15;

const SIGKILL = 9;
const dumpPoints = FAULT_POINTS.filter((point) => !/^(restore|pre-dump|snapshot):/.test(point));

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
		const alone = listPids(stage).length;
		for (const point of points) {
			if (point === skip?.point && action === skip.action) continue;
			const images = mkdtempSync(join(dir, "images-"));
			const args = ["env", `CR_FAULT=${point}:${action}`, criu, "dump", "-t", String(pid), "-R", "-D", images];
			await stage.run(join(dir, "run"), dir, args);
			// A killed criu's guard puts right what it can reach from outside, and ends.
			await until(`the end of criu's helpers after ${point}`, () => listPids(stage).length <= alone);
			await expectSame(path, before, keepsArea, point);
			rmSync(images, { recursive: true });
		}
		if (scenario.trigger === "file") writeFileSync(`${out}.go`, "");
		else await stage.kill(pid, SIGTERM);
		const ending = await stage.died(pid);
		expect({ ending, says: readFileSync(out, "latin1") }).toEqual({
			ending: { how: "exit", code: 0 },
			says: expect.stringContaining("PASS\n"),
		});
	} finally {
		await stage.close();
		rmSync(dir, { recursive: true, force: true });
	}
}

const isRunning = (path: string) => /^[^ZX]$/.test(stateOf(path) ?? "X");

/** Pids in the stage but its own pid 1 and the dead. */
function listPids(stage: Stage): string[] {
	const proc = `/proc/${stage.outerPid}/root/proc`;
	return readdirSync(proc).filter((name) => /^\d+$/.test(name) && name !== "1" && isRunning(`${proc}/${name}`));
}

/** Waits for what has no event. */
async function until(what: string, done: () => boolean): Promise<void> {
	for (const deadline = performance.now() + 60_000; !done(); await Bun.sleep(1))
		if (performance.now() > deadline) throw new Error(`no sign of ${what}`);
}

function untilNobodyIsLeft(stage: Stage, after: string): Promise<void> {
	return until(`the end of all processes after ${after}`, () => listPids(stage).length === 0);
}

/** What a run leaves on disk besides its own log and images. */
const listFiles = (dir: string) => readdirSync(join(dir, "work"), { recursive: true }).map(String).sort();

/** Plays `points`, each a value of CR_FAULT, on dumps and then restores of one program, which passes in the end. */
export async function playCycleFaults(name: string, points: readonly string[]): Promise<void> {
	const { stage, dir, program, scenario } = await openCase(name);
	try {
		const out = join(dir, "out");
		const images = join(dir, "images");
		mkdirSync(join(dir, "work"), { mode: 0o777 });
		const pid = await stage.start(out, join(dir, "work"), [program, out, ...scenario.args]);
		await stage.ready(pid);
		const run = async (verb: string[], options: readonly string[], fault?: string) => {
			mkdirSync(images, { recursive: true });
			const command = [criu, ...verb, "-D", images, ...scenario.options, ...options];
			const argv = fault === undefined ? command : ["env", `CR_FAULT=${fault}`, ...command];
			return stage.run(join(dir, "run"), dir, argv, 120_000);
		};
		const dump = (fault?: string) => run(["dump", "-t", String(pid)], scenario.dumpOptions, fault);
		const restore = (fault?: string) => run(["restore", "-d"], scenario.restoreOptions, fault);
		const failed = (fault: string): Ending =>
			fault.includes(":kill") ? { how: "signal", code: SIGKILL } : { how: "exit", code: 1 };
		for (const fault of points.filter((point) => !point.startsWith("restore:"))) {
			expect({ fault, ...(await dump(fault)) }).toEqual({ fault, ...failed(fault) });
			rmSync(images, { recursive: true });
		}
		expect(await dump()).toEqual({ how: "exit", code: 0 });
		await stage.died(pid);
		await untilNobodyIsLeft(stage, "the dump");
		const files = listFiles(dir);
		for (const fault of points.filter((point) => point.startsWith("restore:"))) {
			expect({ fault, ...(await restore(fault)) }).toEqual({ fault, ...failed(fault) });
			await untilNobodyIsLeft(stage, fault);
			// What is killed can't tidy up.
			if (!fault.includes(":kill")) expect({ fault, files: listFiles(dir) }).toEqual({ fault, files });
		}
		expect(await restore()).toEqual({ how: "exit", code: 0 });
		await stage.kill(pid, SIGTERM);
		await untilNobodyIsLeft(stage, "the end");
		expect(readFileSync(out, "latin1")).toBe("READY\nPASS\n");
	} catch (error) {
		const log = join(dir, "run");
		throw new Error(`${error}\n${existsSync(log) ? readFileSync(log, "latin1").slice(-1000) : ""}`);
	} finally {
		await stage.close();
		rmSync(dir, { recursive: true, force: true });
	}
}
