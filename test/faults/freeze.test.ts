// SPDX-License-Identifier: GPL-2.0-only
// Freezing what doesn't keep still: trees that fork, make threads, execute programs and die meanwhile (restless.c), tasks that
// somebody kills or stops during a dump. No dump hangs, none fails without a reason, nothing escapes, nobody is harmed.

import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { makeRandom } from "../images/random-message.ts";
import { stateOf } from "../matrix/snapshot.ts";
import { listOthers, waitForNone } from "../matrix/tree.ts";
import { limitJobs } from "../matrix.ts";
import { CROWDS, type CriuRun, Victim, type VictimKind } from "./victim.ts";

const SIGKILL = 9;
const SIGCONT = 18;
const SIGSTOP = 19;
const STORM_DUMPS = Number(process.env["CRIU_STORM_DUMPS"] ?? 4);
const ROUNDS = Number(process.env["CRIU_FREEZE_ROUNDS"] ?? 4);
/** Ample on a loaded machine; a dump that waits in vain says so after 10 s. */
const SOON_MS = 30_000;
/** The final dump of a tree that may be in vfork at any time. */
const TRIES = 20;
const inTurn = limitJobs(2);
const isRoot = process.getuid?.() === 0;
const seed = Number(process.env["CRIU_SEED"] ?? Date.now() % 1_000_000);
if (isRoot) console.log(`freezing: CRIU_SEED=${seed}`);

const restless = (mode: string): VictimKind => ({ name: mode, mode, restless: true });
const done: CriuRun = { ending: { how: "exit", code: 0 }, output: "" };

async function dump(victim: Victim, ...options: string[]): Promise<CriuRun> {
	const images = victim.makeImages();
	const run = await victim.criu(["dump", "-t", String(victim.pid), ...options], images);
	if (run.ending.code !== 0 || options.includes("-R")) rmSync(images, { recursive: true });
	return run;
}

/** A dump that ends the tree, a look whether any of it got away, and a restore. */
async function expectNoneEscapes(victim: Victim): Promise<void> {
	const images = victim.makeImages();
	let run: CriuRun | undefined;
	for (let tries = 0; tries < TRIES && run?.ending.code !== 0; tries++)
		run = await victim.criu(["dump", "-t", String(victim.pid)], images);
	expect(run).toEqual(done);
	await victim.stage.died(victim.pid);
	expect(await waitForNone(() => listOthers(dirname(victim.procPath)), 5000)).toEqual([]);
	expect(await victim.criu(["restore", "-d"], images)).toEqual(done);
	await victim.expectProgress("restore");
}

describeAsRoot("a tree is frozen as a whole while", () => {
	for (const [mode, what, excuse] of [
		["forks", "it forks as fast as it can", undefined],
		["threads", "its threads come and go", undefined],
		["wander", "each process of it forks its successor, ends and leaves it to the root", undefined],
		["execs", "one of its threads executes programs and ends the others by that", undefined],
		["quits", "its processes with threads end", undefined],
		["leader", "its first thread ends before the others", undefined],
		["vforks", "it starts programs by vfork", /shares its memory with pid|it waits in vfork/],
	] as const)
		test.concurrent(
			what,
			() =>
				inTurn(async () => {
					await using victim = await Victim.start(restless(mode));
					for (let i = 0; i < STORM_DUMPS; i++) {
						const run = await dump(victim, "-R");
						if (excuse === undefined || run.ending.code === 0) expect(run).toEqual(done);
						else expect(run.output).toMatch(excuse);
						await victim.expectUnharmed(`dump ${i}`);
					}
					await expectNoneEscapes(victim);
				}),
			600_000,
		);
});

describeAsRoot("a dump is refused, with the reason and no harm, of a tree", () => {
	test.concurrent(
		"with a process that waits in vfork",
		() =>
			inTurn(async () => {
				await using victim = await Victim.start(restless("vforked"));
				const { ending, output } = await dump(victim, "--timeout", "2", "-v3");
				expect(ending).toEqual({ how: "exit", code: 1 });
				expect(output).toMatch(
					/task \d+ didn't stop in time: it waits in vfork until its child, pid \d+, executes.*\[STOP_TIMEOUT\]/,
				);
				expect(output).toMatch(/still waiting for thread \d+ to stop: it waits in vfork/);
				expect(output).not.toContain("cleaning up failed");
				await victim.expectUnharmed("a dump that met a vfork");
			}),
		300_000, // they wait for their turn
	);

	test.concurrent(
		"whose root is a child that another process has lent its memory by vfork",
		() =>
			inTurn(async () => {
				await using victim = await Victim.start(restless("vforked"));
				const [, , child] = victim.pids;
				const images = victim.makeImages();
				const { ending, output } = await victim.criu(["dump", "-t", String(child)], images);
				expect(ending).toEqual({ how: "exit", code: 1 });
				expect(output).toMatch(/[([]SHARED_BY_TASKS[)\]]/);
				await victim.expectUnharmed("a dump of a child in vfork");
			}),
		300_000, // they wait for their turn
	);
});

/** Runs a dump and, at some instant of it, `disturb`. */
async function dumpDisturbed(victim: Victim, random: () => number, disturb: () => Promise<unknown>): Promise<CriuRun> {
	const dumping = dump(victim, "-R");
	await Bun.sleep((random() / 2 ** 32) * 80);
	await disturb();
	return await dumping;
}

/**
 * The reason that a dump gives when a task of the tree is killed meanwhile. Its children may go on outside of the tree then, and
 * empty a pipe.
 */
const LOST =
	/^error: (task|pid) \d+ (ended while|was ended by|isn't a child of|doesn't exist|\(target\) is dead)|^error: a pipe holds/;

describeAsRoot("a dump ends soon, with the reason, and does the others no harm when somebody", () => {
	const [threads, , tree] = CROWDS as readonly [VictimKind, VictimKind, VictimKind];
	for (const [kind, which] of [
		[threads, 0],
		[tree, 0],
		[tree, 1],
		[tree, 3],
	] as const)
		test.concurrent(
			`kills process ${which} of a target ${kind.name}`,
			() =>
				inTurn(async () => {
					const random = makeRandom(seed + which);
					for (let round = 0; round < ROUNDS; round++) {
						await using victim = await Victim.start(kind);
						const pids = victim.pids;
						const killed = victim.pidOf(which);
						const start = performance.now();
						const { ending, output } = await dumpDisturbed(victim, random, () => victim.stage.kill(killed, SIGKILL));
						expect(performance.now() - start).toBeLessThan(SOON_MS);
						if (ending.code !== 0) expect(output).toMatch(LOST);
						// The dead one is its parent's to reap, and everybody else runs on.
						for (const pid of pids) {
							const path = victim.stage.procPath(pid);
							expect(`${pid} ${stateOf(path) === "t"}`).toBe(`${pid} false`);
							if (pid === killed) expect(stateOf(path) ?? "Z").toMatch(/[ZX]/);
						}
						await victim.expectOthersGoOn(which, `a kill during a dump`);
					}
				}),
			600_000,
		);

	test.concurrent(
		"stops a process of it",
		() =>
			inTurn(async () => {
				const random = makeRandom(seed);
				await using victim = await Victim.start(tree);
				for (let round = 0; round < ROUNDS * 3; round++) {
					const pid = victim.pidOf(round % 4);
					const run = await dumpDisturbed(victim, random, () => victim.stage.kill(pid, SIGSTOP));
					expect(run).toEqual(done);
					await waitForNone(() => (stateOf(victim.stage.procPath(pid)) === "T" ? [] : ["runs"]), 5000);
					expect(stateOf(victim.stage.procPath(pid))).toBe("T");
					await victim.stage.kill(pid, SIGCONT);
					await victim.expectUnharmed(`SIGSTOP of pid ${pid}`);
				}
			}),
		600_000,
	);
});
