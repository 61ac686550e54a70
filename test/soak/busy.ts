// SPDX-License-Identifier: GPL-2.0-only
// Dumps that leave a busy target running, hundreds in a row: no task of it is lost, nothing stays in it, and criu takes no
// more memory and time for the last ones than for the first.

import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { criu, Victim, type VictimKind } from "../faults/victim.ts";
import { showEnding } from "../matrix/stage.ts";

/** Dumps before the first look: what is touched once, is. */
const WARM_UP = 5;
const MEASURE =
	"import resource, subprocess, sys; r = subprocess.run(sys.argv[1:]); print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(r.returncode)";

/** Numbers that could grow with each dump. */
interface Look {
	processes: number;
	threads: number;
	descriptors: number;
	mappings: number;
	residentKb: number;
	/** Calls that ended with EINTR. */
	eintr: number;
}

function lookAt(victim: Victim): Look {
	const sum: Look = { processes: 0, threads: 0, descriptors: 0, mappings: 0, residentKb: 0, eintr: victim.eintr };
	for (const pid of victim.pids) {
		const path = victim.stage.procPath(pid);
		const status = readFileSync(`${path}/status`, "latin1");
		sum.processes++;
		sum.threads += readdirSync(`${path}/task`).length;
		if (/^State:\s+Z/m.test(status)) continue;
		sum.descriptors += readdirSync(`${path}/fd`).length;
		sum.mappings += readFileSync(`${path}/maps`, "latin1").split("\n").length - 1;
		sum.residentKb += Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
	}
	return sum;
}

const mean = (list: readonly number[]) =>
	Math.round(list.reduce((sum, one) => sum + one, 0) / Math.max(1, list.length));

/** One dump; gives its time and the memory that it took at most. */
async function dump(victim: Victim): Promise<{ ms: number; peakKb: number }> {
	const images = victim.makeImages();
	const log = join(victim.dir, "busy.log");
	const start = performance.now();
	const command = [criu, "dump", "-R", "-t", String(victim.pid), "-D", images];
	const ending = await victim.stage.run(log, victim.dir, ["/usr/bin/python3", "-c", MEASURE, ...command], 120_000);
	const ms = performance.now() - start;
	const text = readFileSync(log, "utf8");
	if (ending.how !== "exit" || ending.code !== 0) throw new Error(`dump: ${showEnding(ending)}: ${text}`);
	rmSync(images, { recursive: true });
	return { ms, peakKb: Number(/^peak (\d+)/m.exec(text)?.[1] ?? 0) };
}

/** Dumps a target so many times. @throws Error when it is harmed; gives a line with the numbers */
export async function playDumps(kind: VictimKind, rounds: number): Promise<string> {
	await using victim = await Victim.start(kind);
	for (let i = 0; i < WARM_UP; i++) await dump(victim);
	await victim.expectUnharmed("the first dumps");
	const before = lookAt(victim);
	const runs: { ms: number; peakKb: number }[] = [];
	for (let i = 0; i < rounds; i++) {
		runs.push(await dump(victim));
		if (i % 20 === 19) await victim.expectUnharmed(`${i + 1} dumps`);
	}
	await victim.expectUnharmed("all dumps");
	const after = lookAt(victim);
	const part = Math.max(1, Math.floor(rounds / 10));
	const [first, last] = [runs.slice(0, part), runs.slice(-part)];
	const criuNumbers = { first, last };
	const shown = Object.entries(criuNumbers).map(
		([name, list]) => `${name} ${mean(list.map(({ ms }) => ms))} ms ${mean(list.map(({ peakKb }) => peakKb))} KiB`,
	);
	for (const name of ["processes", "threads", "descriptors", "mappings"] as const)
		if (before[name] !== after[name]) throw new Error(`${name}: ${before[name]} before, ${after[name]} after`);
	await victim.cycle("all dumps");
	return `${rounds} dumps, criu ${shown.join(", ")}; before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`;
}
