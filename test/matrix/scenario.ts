// SPDX-License-Identifier: GPL-2.0-only
// Scenario programs: reading their header comments, compiling them, and what the machine can offer them.

import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";

const root = resolve(import.meta.dir, "../..");
const sourceDir = join(root, "test/scenarios");
const buildDir = join(root, "build/scenarios");

/** CRIU_TEST_32BIT=1: any scenario as a 32-bit program (under a kernel that runs such ones, see scripts/try-kernel). */
const as32Bit = process.env["CRIU_TEST_32BIT"] === "1";

/** How the harness tells a program to make its checks. */
export type Trigger = "signal" | "file";

/** One scenario program and what its header comment asks for. */
export interface Scenario {
	/** File name without suffix, such as `pipe_full`. */
	name: string;
	source: string;
	/** First lines of the header: what the program proves. */
	proves: string;
	/** What the harness has to provide or find, see findLack in machine.ts. */
	needs: string[];
	/** The same, for runs in which the peer has a hand. */
	peerNeeds: string[];
	/** Options of both dump and restore. */
	options: string[];
	dumpOptions: string[];
	restoreOptions: string[];
	/** Compiler arguments. */
	cflags: string[];
	compiler: string;
	/** Arguments of the program after the output file. */
	args: string[];
	trigger: Trigger;
	/** It never sleeps, or the leader does and other threads don't: the harness doesn't wait for state S of those. */
	busy: "no" | "all" | "threads" | "children";
	/** Refusal code that our dump must answer with; undefined: the dump must work. */
	refused: string | undefined;
	/** Texts that the refusal has to hold besides its code. */
	refusalTexts: string[];
	/** It holds memory of a kind of its own: it runs in the modes that are about memory alone. */
	memory: boolean;
	/** It's among the few that always run in the mode that maps memory. */
	mapped: boolean;
	/** Runs in the mode "stream", too. */
	streamed: boolean;
	/** It stops itself after READY: state T is its rest, SIGCONT comes before the trigger. */
	stopped: boolean;
	/** Why pairings with the peer aren't run; undefined: they are. */
	skipPeer: string | undefined;
	/** Why the peer's crit can't decode this one's images, whoever wrote them. */
	skipDecode: string | undefined;
	/** Why our criu can't keep this yet; undefined: it can. Runs without us are made all the same. */
	skipOurs: string | undefined;
	/** How many dumps that leave it running the mode for programs at full speed makes; 0: that mode isn't for this one. */
	storm: number;
	/** Modes that mean nothing for this program, with the reason. */
	skipModes: Map<string, string>;
	/** Keys of the before/after comparison that may differ for this program alone, with the reason. */
	mayDiffer: { pattern: RegExp; why: string }[];
	/** The same, where the peer had a hand in the run. */
	peerMayDiffer: { pattern: RegExp; why: string }[];
}

const tagForm = /^\/\/ @([a-z-]+)(?: +(.*))?$/;

/** Reads the header comment of a scenario source. Tags that are unknown are errors, since a typing mistake would drop a test. */
export function parseScenario(path: string): Scenario {
	const scenario: Scenario = {
		name: basename(path, ".c"),
		source: path,
		proves: "",
		needs: [],
		peerNeeds: [],
		options: [],
		dumpOptions: [],
		restoreOptions: [],
		cflags: [],
		compiler: "gcc",
		args: [],
		trigger: "signal",
		busy: "no",
		refused: undefined,
		refusalTexts: [],
		memory: false,
		mapped: false,
		streamed: false,
		stopped: false,
		skipPeer: undefined,
		skipDecode: undefined,
		skipOurs: undefined,
		storm: 0,
		skipModes: new Map(),
		mayDiffer: [],
		peerMayDiffer: [],
	};
	const prose: string[] = [];
	for (const line of readFileSync(path, "utf8").split("\n")) {
		if (!line.startsWith("//")) break;
		const tag = tagForm.exec(line);
		if (tag === null) {
			if (!line.includes("SPDX")) prose.push(line.slice(3));
			continue;
		}
		applyTag(scenario, tag[1] ?? "", (tag[2] ?? "").trim());
	}
	if (as32Bit)
		applyTag(scenario, "peer-may-differ", "(.*/)?fd/\\d+/flags the peer, being 64-bit, opens with O_LARGEFILE");
	scenario.proves = prose.join(" ");
	if (scenario.proves === "") throw new Error(`${path}: no line that says what it proves`);
	return scenario;
}

function applyTag(scenario: Scenario, tag: string, text: string): void {
	const words = text.split(/\s+/).filter((word) => word !== "");
	if (tag === "needs") scenario.needs.push(...words);
	else if (tag === "peer-needs") scenario.peerNeeds.push(...words);
	else if (tag === "options") scenario.options.push(...words);
	else if (tag === "dump-options") scenario.dumpOptions.push(...words);
	else if (tag === "restore-options") scenario.restoreOptions.push(...words);
	else if (tag === "cflags") scenario.cflags.push(...words);
	else if (tag === "compiler") scenario.compiler = text;
	else if (tag === "args") scenario.args.push(...words);
	else if (tag === "busy" && (text === "" || text === "threads" || text === "children"))
		scenario.busy = text === "" ? "all" : text;
	else if (tag === "memory") scenario.memory = true;
	else if (tag === "mapped") scenario.mapped = true;
	else if (tag === "stream") scenario.streamed = true;
	else if (tag === "stopped") scenario.stopped = true;
	else if (tag === "expect-text" && text !== "") scenario.refusalTexts.push(text);
	else if (tag === "skip-peer") scenario.skipPeer = text;
	else if (tag === "skip-decode") scenario.skipDecode = text;
	else if (tag === "skip-ours") scenario.skipOurs = text;
	else if (tag === "storm" && Number(text) > 0) scenario.storm = Number(text);
	else if (tag === "trigger" && (text === "signal" || text === "file")) scenario.trigger = text;
	else if (tag === "expect" && words[0] === "refused" && words[1] !== undefined) scenario.refused = words[1];
	else if (tag === "skip-mode" && words.length > 1) scenario.skipModes.set(words[0] ?? "", words.slice(1).join(" "));
	else if ((tag === "may-differ" || tag === "peer-may-differ") && words.length > 1)
		(tag === "may-differ" ? scenario.mayDiffer : scenario.peerMayDiffer).push({
			pattern: new RegExp(`^${words[0]}$`),
			why: words.slice(1).join(" "),
		});
	else throw new Error(`${scenario.source}: bad tag @${tag} ${text}`);
}

/** All scenarios, by name. */
export function listScenarios(): Scenario[] {
	const files = readdirSync(sourceDir).filter((file) => file.endsWith(".c"));
	return files.sort().map((file) => parseScenario(join(sourceDir, file)));
}

function isFresh(target: string, sources: readonly string[]): boolean {
	try {
		const built = statSync(target).mtimeMs;
		return sources.every((source) => statSync(source).mtimeMs < built);
	} catch {
		return false;
	}
}

async function compile(compiler: string, flags: string[], source: string, target: string): Promise<void> {
	mkdirSync(buildDir, { recursive: true });
	const draft = `${target}.${process.pid}`; // renamed when whole: another test run may compile the same file
	const base = ["-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", `-I${sourceDir}`];
	const child = Bun.spawn([compiler, ...base, source, "-o", draft, ...flags], { stdout: "pipe", stderr: "pipe" });
	const text = await new Response(child.stderr).text();
	if ((await child.exited) !== 0) throw new Error(`cannot compile ${source}:\n${text}`);
	renameSync(draft, target);
}

const builds = new Map<string, Promise<string>>();

/** Compiles a scenario where its source or the shared headers are newer than the program; gives the program's path. */
export function buildScenario(scenario: Scenario): Promise<string> {
	const target = join(buildDir, as32Bit ? `${scenario.name}-32` : scenario.name);
	const build = builds.get(target) ?? compileIfOlder(scenario, target);
	builds.set(target, build);
	return build;
}

async function compileIfOlder(scenario: Scenario, target: string): Promise<string> {
	const headers = readdirSync(sourceDir).filter((file) => file.endsWith(".h"));
	const flags = as32Bit ? [...scenario.cflags, "-m32"] : scenario.cflags;
	if (!isFresh(target, [scenario.source, ...headers.map((file) => join(sourceDir, file))]))
		await compile(scenario.compiler, flags, scenario.source, target);
	return target;
}

/** Compiles a program of this folder likewise. */
export async function buildHelper(name: string): Promise<string> {
	const source = join(import.meta.dir, `${name}.c`);
	const target = join(buildDir, `${name}.bin`);
	if (!isFresh(target, [source])) await compile("gcc", [], source, target);
	return target;
}

/** Compiles a library to be preloaded. */
async function buildPreload(name: string): Promise<string> {
	const source = join(import.meta.dir, `${name}.c`);
	const target = join(buildDir, `${name}.so`);
	if (!isFresh(target, [source])) await compile("gcc", ["-shared", "-fPIC", "-nostdlib"], source, target);
	return target;
}

/** What the peer needs preloaded on this kernel, see peer-shim.c. */
export function buildPeerShim(): Promise<string> {
	return buildPreload("peer-shim");
}

/** A command that runs the peer with that. */
export async function wrapPeer(criu: string): Promise<string> {
	const shim = await buildPeerShim();
	const wrapper = join(buildDir, `peer-criu.${process.pid}`);
	writeFileSync(wrapper, `#!/bin/sh\nLD_PRELOAD=${shim} exec ${criu} "$@"\n`, { mode: 0o755 });
	return wrapper;
}

/** The stage, see stage.c. */
export function buildStage(): Promise<string> {
	return buildHelper("stage");
}
