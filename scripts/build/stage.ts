// SPDX-License-Identifier: GPL-2.0-only
// A build stage: runs only when something that it is made from has changed, by content and never by time.
// Its stamp holds a fingerprint of all inputs, and size and time of each output (so that no output need be read again).

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

export interface Stage {
	name: string;
	/** Files and folders (walked) that the outputs depend on; one that does not exist counts as empty. */
	inputs: string[];
	/** Everything else that they depend on: command lines, tool versions. */
	settings: unknown;
	/** Files that `run` leaves behind. */
	outputs: string[];
	run: () => void | Promise<void>;
}

export interface StageContext {
	/** Folder that paths in fingerprints are relative to, so that a moved checkout stays built. */
	root: string;
	stampDir: string;
	/** Run every stage, changed or not. */
	force: boolean;
	report: (line: string) => void;
}

interface Stamp {
	inputs: string;
	outputs: string;
}

/** All files below `path`, or `path` itself when it is a file; sorted; nothing when it does not exist. */
export function listFiles(path: string): string[] {
	const stat = statSync(path, { throwIfNoEntry: false });
	if (stat === undefined) return [];
	if (!stat.isDirectory()) return [path];
	return readdirSync(path)
		.sort()
		.flatMap((name) => listFiles(join(path, name)));
}

/** A hash of all that a stage is made from. */
export function fingerprintInputs(stage: Pick<Stage, "inputs" | "settings">, root: string): string {
	const hash = createHash("sha256");
	hash.update(JSON.stringify(stage.settings));
	for (const file of stage.inputs.flatMap(listFiles)) {
		const content = readFileSync(file);
		hash.update(`\0${relative(root, file)}\0${content.length}\0`);
		hash.update(content);
	}
	return hash.digest("hex");
}

function describeOutputs(stage: Stage): string {
	return stage.outputs
		.map((file) => {
			const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
			return stat === undefined ? "missing" : `${stat.size}:${stat.mtimeNs}`;
		})
		.join(" ");
}

function readStamp(path: string): Stamp | undefined {
	if (!existsSync(path)) return undefined;
	try {
		return JSON.parse(readFileSync(path, "utf8")) as Stamp;
	} catch {
		return undefined; // cut short by a full disk or a kill: build again
	}
}

/** Writes a file as a whole or not at all, also when two builds run at once. */
export function writeAtomically(path: string, content: string | Uint8Array, mode = 0o644): void {
	mkdirSync(dirname(path), { recursive: true });
	const draft = `${path}.${process.pid}.tmp`;
	writeFileSync(draft, content, { mode });
	renameSync(draft, path);
}

/** Runs one stage if needed; gives whether it ran. */
export async function runStage(stage: Stage, context: StageContext): Promise<boolean> {
	const stampPath = join(context.stampDir, `${stage.name}.json`);
	const inputs = fingerprintInputs(stage, context.root);
	const stamp = readStamp(stampPath);
	const upToDate = stamp?.inputs === inputs && stamp.outputs === describeOutputs(stage);
	if (upToDate && !context.force) return false;
	const start = performance.now();
	for (const output of stage.outputs) mkdirSync(dirname(output), { recursive: true });
	await stage.run();
	const result: Stamp = { inputs, outputs: describeOutputs(stage) };
	if (result.outputs.includes("missing")) throw new Error(`build stage ${stage.name} did not make all its outputs`);
	writeAtomically(stampPath, JSON.stringify(result));
	context.report(`${stage.name.padEnd(8)} ${Math.round(performance.now() - start)} ms`);
	return true;
}
