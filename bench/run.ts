// SPDX-License-Identifier: GPL-2.0-only
// The benchmark: loads through our criu and the original in turn (A B A B …), each in a pid namespace of its own, with
// images on a private tmpfs. Prints medians, ratios, frozen times, memory of criu, and where our time went.
// Usage: `npm run bench -- --help`. Exit code 0 only when all rounds of ours went well.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { buildPeerShim } from "../test/matrix/scenario.ts";
import { findPeer } from "../test/peer.ts";
import { LOADS } from "./loads/index.ts";
import type { Load } from "./loads/load.ts";
import { type Round, RoundError, runRound, type Setting } from "./measure.ts";
import { type BenchOptions, BenchUsageError, helpText, parseBenchOptions } from "./options.ts";
import { type Command, compileProgram, findCommand, refreshCache } from "./programs.ts";
import {
	formatComparison,
	formatCopies,
	formatFailures,
	formatSnapshots,
	formatStages,
	type LoadResult,
	toJson,
} from "./report.ts";
import { Stage, StageError } from "./stage.ts";

const OURS = join(import.meta.dir, "../dist/criu");
/** A load's rounds end after this time, if there are enough of them, so that a slow machine still comes to an end. */
const LOAD_BUDGET_MS = 40_000;
const ENOUGH_ROUNDS = 3;

/** One criu on one load: its stage, and what it has done so far. */
class Side {
	readonly rounds: Round[] = [];
	failure: string | undefined;
	private stage: Stage | undefined;

	constructor(
		private readonly setting: Setting,
		private readonly stageProgram: string,
		private readonly folder: string,
	) {}

	/** One more round; a failure is kept and ends the side's part. A warm-up isn't counted. */
	async play(warmUp: boolean): Promise<void> {
		if (this.failure !== undefined) return;
		try {
			this.stage ??= await Stage.open(this.stageProgram, this.folder);
			const round = await runRound(this.stage, this.setting);
			if (!warmUp) this.rounds.push(round);
		} catch (error) {
			if (!(error instanceof RoundError || error instanceof StageError)) throw error;
			this.failure = error.message;
			await this.close();
		}
	}

	async close(): Promise<void> {
		await this.stage?.close();
		this.stage = undefined;
	}
}

interface Bench {
	readonly options: BenchOptions;
	readonly ours: Command;
	readonly peer: Command | undefined;
	readonly workDir: string;
	readonly stageProgram: string;
}

async function runLoad(bench: Bench, load: Load): Promise<LoadResult> {
	const program = await compileProgram(`loads/${load.program}`, bench.workDir);
	const target = [program, ...load.args];
	const { cold } = bench.options;
	const { snapshot = false, mapped = false, copyMib } = load;
	const copy =
		copyMib === undefined ? undefined : { program: await compileProgram("copy.c", bench.workDir), mib: copyMib };
	const open = (criu: Command, name: string) =>
		new Side(
			{
				criu,
				target,
				cold,
				lazy: load.lazy ?? false,
				snapshot: snapshot && name === "ours",
				mapped: mapped && name === "ours",
				copy: name === "ours" ? copy : undefined,
			},
			bench.stageProgram,
			join(bench.workDir, name),
		);
	const ours = open(bench.ours, "ours");
	const peer = bench.peer === undefined ? undefined : open(bench.peer, "peer");
	const sides = peer === undefined ? [ours] : [ours, peer];
	const rounds = bench.options.rounds ?? load.rounds;
	const began = performance.now();
	try {
		for (let round = 0; round <= rounds; round++) {
			const isLate = performance.now() - began > LOAD_BUDGET_MS;
			if (bench.options.rounds === undefined && isLate && round > ENOUGH_ROUNDS) break;
			for (const side of sides) await side.play(round === 0);
			if (sides.every((side) => side.failure !== undefined)) break;
		}
	} finally {
		for (const side of sides) await side.close();
	}
	return { load, ours, peer };
}

function describeMachine(): string {
	const model = cpus()[0]?.model.trim() ?? "unknown CPU";
	const hugePages = /\[(\w+)\]/.exec(readFileSync("/sys/kernel/mm/transparent_hugepage/enabled", "latin1"))?.[1];
	return `${cpus().length} x ${model}, Linux ${release()}, transparent huge pages: ${hugePages ?? "unknown"}`;
}

async function choosePeer(path: string | undefined): Promise<Command | undefined> {
	if (path === "none") return undefined;
	if (path !== undefined) return findCommand(path);
	const found = findPeer();
	if ("criu" in found) return ["/usr/bin/env", `LD_PRELOAD=${await buildPeerShim()}`, ...findCommand(found.criu)];
	console.error(`bench: nothing to compare with: ${found.missing}`);
	return undefined;
}

async function runAll(options: BenchOptions, workDir: string): Promise<number> {
	const [ours, peer] = [findCommand(options.ours), await choosePeer(options.peer)];
	await refreshCache(ours);
	const stageProgram = await compileProgram("stage.c", workDir);
	const bench: Bench = { options, ours, peer, workDir, stageProgram };
	const machine = describeMachine();
	const began = performance.now();
	const results: LoadResult[] = [];
	for (const load of options.loads) {
		console.error(`bench: ${load.title}`);
		results.push(await runLoad(bench, load));
	}
	const seconds = Math.round((performance.now() - began) / 1000);
	console.log(`${machine}${options.cold ? ", /run empty each time" : ""}; ${seconds} s`);
	console.log(`\n${formatComparison(results)}`);
	console.log(
		"ms: median, best: minimum (steadier where others use the machine); ratio: ours/peer; frozen: median, ms; memory: largest ru_maxrss, MiB",
	);
	const snapshots = formatSnapshots(results);
	if (snapshots !== "") console.log(`\nFrozen by dump --leave-running --snapshot, ms:\n${snapshots}`);
	const copies = formatCopies(results);
	if (copies !== "")
		console.log(`\nBeside a plain parallel copy of as much memory to the same file system:\n${copies}`);
	const stages = formatStages(results);
	if (stages !== "") console.log(`\nWhere our time went, ms:\n${stages}`);
	const failures = formatFailures(results);
	if (failures !== "") console.log(`\nFailed:\n${failures}`);
	if (options.json !== undefined) {
		const about = { machine, cold: options.cold, ours, peer: peer ?? null, date: new Date().toISOString() };
		writeFileSync(options.json, toJson(results, about));
	}
	return results.some((result) => result.ours.failure !== undefined) ? 1 : 0;
}

async function main(): Promise<number> {
	const options = parseBenchOptions(Bun.argv.slice(2), LOADS, OURS);
	if (options === "help") {
		console.log(helpText(LOADS));
		return 0;
	}
	if (process.getuid?.() !== 0) throw new BenchUsageError("root is needed, for namespaces and for criu itself");
	const workDir = mkdtempSync(join(tmpdir(), "criu-bench-"));
	const remove = () => rmSync(workDir, { recursive: true, force: true });
	// Stages end with us: their standard input closes, and their parent dies.
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
		process.on(signal, () => {
			remove();
			process.exit(1);
		});
	}
	try {
		return await runAll(options, workDir);
	} finally {
		remove();
	}
}

try {
	process.exitCode = await main();
} catch (error) {
	if (!(error instanceof Error)) throw error;
	console.error(`bench: ${error.message}`);
	process.exitCode = error instanceof BenchUsageError ? 2 : 1;
}
