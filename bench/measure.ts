// SPDX-License-Identifier: GPL-2.0-only
// One round of one criu on one load: start, dump, restore, check. Knows nothing of other rounds.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ImageDir, KINDS } from "../src/images/index.ts";
import type { Command } from "./programs.ts";
import { type Cost, type Stage, StageError, showWaitStatus } from "./stage.ts";

/** How long a stage of criu took, as it says itself; microseconds. */
export interface StageTime {
	readonly name: string;
	readonly us: number;
}

/** One timed command and what its statistics say. */
export interface Sample extends Cost {
	/** Time in which the target stood still; dumps only. */
	readonly frozenUs: number | undefined;
	/** Empty where criu tells none. */
	readonly stages: readonly StageTime[];
}

/** A dump and the restore that followed. */
export interface Round {
	readonly dump: Sample;
	readonly restore: Sample;
	/** A dump before, that let the program run on. */
	readonly snapshot?: Sample;
	/** What a plain copy of as much memory to the same file system took, by threads that need nothing but copy. */
	readonly copyUs?: number;
}

/** criu failed, or what it restored isn't what was dumped. */
export class RoundError extends Error {}

const LOG = "log";

function readStats(folder: string, name: "dump" | "restore"): Pick<Sample, "frozenUs" | "stages"> {
	using dir = ImageDir.open(folder);
	const stats = dir.findEntry(KINDS.STATS, name);
	const stages = (stats?.[name]?.stages ?? []).map((stage) => ({ name: stage.name, us: stage.us }));
	return { frozenUs: name === "dump" ? stats?.dump?.frozenTime : undefined, stages };
}

/** The last lines that say something went wrong, from criu's log or else from what it printed. */
function readComplaint(stage: Stage, folder: string, printed: string): string {
	for (const path of [join(folder, LOG), printed].map((inside) => stage.outerPath(inside))) {
		if (!existsSync(path)) continue;
		const lines = readFileSync(path, "utf8").trim().split("\n");
		const errors = lines.filter((line) => /error|fail|can't|cannot/i.test(line));
		const last = (errors.length > 0 ? errors : lines).slice(0, 3).join(" / ");
		if (last !== "") return last.slice(0, 400);
	}
	return "no word why";
}

async function runTimed(stage: Stage, name: "dump" | "restore", folder: string, argv: Command): Promise<Sample> {
	const printed = join(stage.tmpfs, `${name}.out`);
	const { status, cost } = await stage.run(printed, argv);
	if (status !== 0) {
		throw new RoundError(`${name}: ${showWaitStatus(status)}: ${readComplaint(stage, folder, printed)}`);
	}
	return { ...cost, ...readStats(stage.outerPath(folder), name) };
}

/** It ends by itself when it has brought all. */
async function startDaemon(stage: Stage, folder: string, criu: Command): Promise<void> {
	const printed = join(stage.tmpfs, "lazy.out");
	const { status } = await stage.run(printed, [...criu, "lazy-pages", "-d", "-D", folder, "-o", "lazy.log"]);
	if (status !== 0)
		throw new RoundError(`lazy-pages: ${showWaitStatus(status)}: ${readComplaint(stage, folder, printed)}`);
}

/** What one round is made of. */
export interface Setting {
	readonly criu: Command;
	readonly target: readonly string[];
	/** Empty /run before each command. */
	readonly cold: boolean;
	/** A lazy-pages daemon brings the memory. */
	readonly lazy: boolean;
	/** Map the memory from the images. */
	readonly mapped: boolean;
	/** Make a snapshot of the restored program. */
	readonly snapshot: boolean;
	/** The program that copies, and how many MiB. */
	readonly copy: { readonly program: string; readonly mib: number } | undefined;
}

async function takeSnapshot(stage: Stage, criu: Command, pid: number): Promise<Sample> {
	const folder = join(stage.tmpfs, "snapshot");
	await stage.empty(folder);
	const options = ["-t", String(pid), "-D", folder, "-o", LOG, "--leave-running", "--snapshot"];
	const sample = await runTimed(stage, "dump", folder, [...criu, "dump", ...options]);
	await stage.empty(folder);
	return sample;
}

/** Where the images were, and without them. */
async function timeCopy(stage: Stage, folder: string, program: string, mib: number): Promise<number> {
	await stage.empty(folder);
	const printed = join(stage.tmpfs, "copy.out");
	const { status } = await stage.run(printed, [program, String(mib), join(folder, "copy")]);
	if (status !== 0) throw new RoundError(`the plain copy: ${showWaitStatus(status)}`);
	await stage.empty(folder);
	return Number(readFileSync(stage.outerPath(printed), "latin1"));
}

/**
 * Runs one round.
 *
 * @throws RoundError for a failure of criu, StageError for one of the stage; both leave the stage unusable
 */
export async function runRound(
	stage: Stage,
	{ criu, target, cold, lazy, mapped, snapshot: wantsSnapshot, copy }: Setting,
): Promise<Round> {
	const folder = join(stage.tmpfs, "images");
	const cwd = `${stage.tmpfs}-cwd`; // On disk: what a tmpfs holds would travel in the images.
	await stage.empty(stage.tmpfs);
	await stage.empty(folder);
	await stage.empty(cwd);
	const pid = await stage.start(cwd, target);
	if (cold) await stage.empty("/run");
	const dump = await runTimed(stage, "dump", folder, [
		...criu,
		...["dump", "-t", String(pid), "-D", folder, "-o", LOG],
	]);
	await stage.reap(pid);
	if (cold) await stage.empty("/run");
	if (lazy) await startDaemon(stage, folder, criu);
	const args = ["restore", "-d", "-D", folder, "-o", LOG, ...(lazy ? ["--lazy-pages"] : [])];
	if (mapped) args.push("--map-pages");
	const restore = await runTimed(stage, "restore", folder, [...criu, ...args]);
	// Last of all: what it changes in memory must not be measured with the dump.
	const snapshot = wantsSnapshot ? await takeSnapshot(stage, criu, pid) : undefined;
	let verdict: number;
	try {
		verdict = await stage.verify(pid);
	} catch (error) {
		if (error instanceof StageError) throw new RoundError("the restored program is gone", { cause: error });
		throw error;
	}
	if (verdict !== 0) throw new RoundError(`the restored program isn't what was dumped: ${showWaitStatus(verdict)}`);
	const copyUs = copy === undefined ? undefined : await timeCopy(stage, folder, copy.program, copy.mib);
	return { dump, restore, ...(snapshot && { snapshot }), ...(copyUs !== undefined && { copyUs }) };
}
