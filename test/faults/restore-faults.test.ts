// SPDX-License-Identifier: GPL-2.0-only
// criu dies, or fails, at each fault point of a restore: no process, pid file or other file is left, and a second restore
// of the same images works.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FAULT_POINTS } from "../../src/fault.ts";
import { describeAsRoot } from "../as-root.ts";
import { stateOf } from "../matrix/snapshot.ts";
import { CROWDS, type CriuRun, Victim } from "./victim.ts";

const SIGKILL = 9;
const isRoot = process.getuid?.() === 0;
/** The end of a leader that had ended before its threads has a test of its own, dead-leader.test.ts. */
const restorePoints = FAULT_POINTS.filter((point) => point.startsWith("restore:") && point !== "restore:leader");
/** From there on the program is on its own; what fails then can't take it back. */
const LAST: readonly string[] = ["restore:outlives", "restore:detached"];
/** Met only by programs with children or threads. */
const OF_TREES: readonly string[] = ["restore:step", "restore:thread"];
/** Points that a tree passes several times, and passages that are tried. */
const PASSAGES: Readonly<Record<string, readonly number[]>> = {
	"restore:seized": [2, 5, 10],
	"restore:step": [1, 4, 8],
	"restore:thread": [1, 3],
	"restore:stopped": [1, 5],
	"restore:left": [1, 4],
	"restore:registers": [1, 6],
};
const onePassage: readonly number[] = [1];

let victim: Victim;
let images: string;
let tree: Victim;
let treeImages: string;

async function dumpWhole(target: Victim): Promise<string> {
	const path = target.makeImages();
	const { ending, output } = await target.criu(["dump", "-t", String(target.pid)], path);
	expect({ ...ending, output }).toEqual({ how: "exit", code: 0, output: "" });
	await target.stage.died(target.pid);
	return path;
}

beforeAll(async () => {
	if (!isRoot) return;
	victim = await Victim.start({ name: "with a deleted file", mode: "ghost" });
	images = await dumpWhole(victim);
	const [, , kind] = CROWDS;
	if (kind === undefined) throw new Error("no tree");
	tree = await Victim.start(kind);
	treeImages = await dumpWhole(tree);
});

afterAll(async () => {
	if (!isRoot) return;
	await victim[Symbol.asyncDispose]();
	await tree[Symbol.asyncDispose]();
});

/** Pids in the stage but its own pid 1 and the dead. */
function listPids(target: Victim): number[] {
	const proc = `/proc/${target.stage.outerPid}/root/proc`;
	const pids = readdirSync(proc).filter((name) => /^\d+$/.test(name) && name !== "1");
	return pids.filter((pid) => !/^[ZX]$/.test(stateOf(`${proc}/${pid}`) ?? "X")).map(Number);
}

async function untilNobodyIsLeft(target = victim): Promise<void> {
	const deadline = performance.now() + 5000;
	while (listPids(target).length > 0) {
		if (performance.now() > deadline) throw new Error(`pids ${listPids(target)} are left`);
		await Bun.sleep(1);
	}
}

const listFiles = (target = victim) =>
	readdirSync(target.dir, { recursive: true })
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

async function endTree(): Promise<void> {
	await tree.stage.run("/dev/null", "/", ["sh", "-c", "kill -9 -1"]);
	await untilNobodyIsLeft(tree);
}

describeAsRoot("a restore", () => {
	for (const options of [[], ["--new-pidns"]])
		for (const action of ["error", "kill"])
			for (const point of restorePoints.filter((point) => !LAST.includes(point) && !OF_TREES.includes(point)))
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
		test(`is done when criu meets ${action} at ${LAST.join(" or ")}: the program runs`, async () => {
			for (const point of LAST) {
				const run = await victim.criu(["restore", "-d"], images, `${point}:${action}`);
				expectFault(run, point, action);
				await victim.expectProgress(action);
				await victim.stage.kill(victim.pid, SIGKILL);
				await untilNobodyIsLeft();
			}
		}, 60_000);

	for (const action of ["error", "kill"])
		for (const point of restorePoints)
			test(`of a tree leaves nothing behind, or all of it, when criu meets ${action} at ${point}`, async () => {
				for (const passage of PASSAGES[point] ?? onePassage) {
					const before = listFiles(tree);
					const pidfile = join(tree.dir, "pid");
					const fault = `${point}:${action}:${passage}`;
					// Each of them also shows that the pids were free again.
					expectFault(await tree.criu(["restore", "-d", "--pidfile", pidfile], treeImages, fault), point, action);
					if (LAST.includes(point)) {
						await tree.expectProgress(fault);
						await endTree();
					}
					await untilNobodyIsLeft(tree);
					expect(existsSync(pidfile)).toBe(LAST.includes(point) || (action === "kill" && existsSync(pidfile)));
					rmSync(pidfile, { force: true });
					expect(listFiles(tree)).toEqual(before);
				}
			}, 60_000);

	test("of a tree works after all of that", async () => {
		expect(await tree.criu(["restore", "-d"], treeImages)).toEqual({ ending: { how: "exit", code: 0 }, output: "" });
		await tree.expectProgress("restore");
		await endTree();
	}, 60_000);
});
