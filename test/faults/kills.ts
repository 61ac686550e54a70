// SPDX-License-Identifier: GPL-2.0-only
// Series of signals at random instants of a dump, by killer.c, and of a restore; both for bun test and for test/soak.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stateOf } from "../matrix/snapshot.ts";
import { buildProgram, criu, Victim, type VictimKind } from "./victim.ts";

const SIGKILL = 9;
const KILL_DEADLINE_MS = 60_000;

/** What killer.c counted over one series. */
export interface KillSummary {
	/** Dumps begun, those that the signal ended, and those of them during which the target was traced. */
	rounds: number;
	ended: number;
	traced: number;
	/** Dumps that failed on their own. */
	refused: number;
	/** How often a stopped target had to be continued to finish its cure. */
	continued: number;
	/** Calls that ended with EINTR. */
	eintr: number;
	/** Longest delay of a timed call, and how long dumps and their traced parts take. */
	late_us: number;
	dump_us: number;
	traced_us: number;
	casualties: number;
	/** One line per casualty. */
	reports: string[];
}

function parseSummary(text: string): KillSummary {
	const lines = text.trim().split("\n");
	const summary = lines.find((line) => line.startsWith("summary "));
	if (summary === undefined) throw new Error(`the killer failed: ${text}`);
	const numbers = Object.fromEntries(
		[...summary.matchAll(/(\w+)=(-?\d+)/g)].map(([, key, value]) => [key, Number(value)]),
	);
	return { ...(numbers as unknown as KillSummary), reports: lines.filter((line) => line.startsWith("casualty")) };
}

const howOf = (kind: VictimKind) => (kind.poke ? "poke" : kind.stopped ? "stopped" : kind.storm ? "storm" : "none");

/** Ends `rounds` dumps of a fresh target by `signal`, then dumps and restores it once in whole. */
export async function playKills(
	kind: VictimKind,
	rounds: number,
	seed: number,
	signal = SIGKILL,
): Promise<KillSummary> {
	// The killer throws the storm itself.
	await using victim = await Victim.start({ ...kind, storm: false });
	const log = join(victim.dir, "killer.log");
	const program = await buildProgram("killer");
	const numbers = [rounds, seed, signal].map(String);
	const argv = [program, criu, String(victim.pid), victim.page, victim.makeImages(), ...numbers, howOf(kind)];
	await victim.stage.run(log, victim.dir, argv, KILL_DEADLINE_MS + rounds * 10_000);
	const summary = parseSummary(readFileSync(log, "utf8"));
	if (summary.casualties === 0) await victim.cycle(`${rounds} signals`);
	return summary;
}

/** Processes of a victim's stage but its pid 1. */
async function countProcesses(victim: Victim): Promise<number> {
	const log = join(victim.dir, "pids");
	await victim.stage.run(log, "/", [
		"sh",
		"-c",
		`: >${log}; for p in /proc/[0-9]*; do echo "\${p#/proc/}" >>${log}; done`,
	]);
	const pids = readFileSync(log, "latin1").trim().split("\n");
	return pids.filter((pid) => pid !== "1" && /^[^ZX]$/.test(stateOf(victim.stage.procPath(Number(pid))) ?? "X")).length;
}

/** Waits for what becomes of a restored victim when criu was killed: true when it goes on by itself, false when it ends. */
async function goesOn(victim: Victim): Promise<boolean> {
	const from = victim.alive ? victim.score().progress : 0;
	const deadline = performance.now() + 60_000;
	while (victim.alive) {
		if (victim.score().progress > from + 1) return true;
		if (performance.now() > deadline) throw new Error("a restored target neither ends nor goes on");
		await Bun.sleep(1);
	}
	return false;
}

/** Kills `rounds` restores of one dump at random instants; throws when a process is left that criu hadn't let go yet. */
export async function playRestoreKills(
	rounds: number,
	random: () => number,
): Promise<{ killed: number; done: number }> {
	await using victim = await Victim.start({ name: "with deleted files", mode: "ghost" });
	const images = victim.makeImages();
	const log = join(victim.dir, "restore.out");
	await victim.criu(["dump", "-t", String(victim.pid)], images);
	await victim.stage.died(victim.pid);
	const counts = { killed: 0, done: 0 };
	for (let round = 0; round < rounds; round++) {
		const seconds = (0.01 + (random() / 2 ** 32) * 0.12).toFixed(4);
		const argv = ["timeout", "-s", "KILL", seconds, criu, "restore", "-d", "-D", images, "-W", victim.dir];
		await victim.stage.run(log, victim.dir, argv);
		if (await goesOn(victim)) {
			await victim.expectProgress("a restore that a kill came too late for");
			await victim.stage.kill(victim.pid, SIGKILL);
			counts.done++;
		} else counts.killed++;
		const deadline = performance.now() + 5000;
		while ((await countProcesses(victim)) > 0)
			if (performance.now() > deadline) throw new Error(`round ${round}, killed after ${seconds} s: a process is left`);
	}
	return counts;
}
