// SPDX-License-Identifier: GPL-2.0-only
// Runs a scenario in a mode: start, dump, restore, … as the mode says, compare /proc before and after, trigger, verdict.
// As a program: bun test/matrix.ts [--mode NAME]… [--keep] [SCENARIO]…   (CRIU_BIN, CRIU_PEER_DIR, CRIU_PEER_CONTROL=1)

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { compareCrit } from "./matrix/crit.ts";
import { findLack, restoreMachine } from "./matrix/machine.ts";
import { checkPageCounts } from "./matrix/page-counts.ts";
import { CritReader } from "./matrix/peer.ts";
import { refusalCodes } from "./matrix/refusals.ts";
import { allStopped, Run } from "./matrix/run.ts";
import { buildHelper, buildScenario, buildStage, listScenarios, type Scenario, wrapPeer } from "./matrix/scenario.ts";
import { Stage, StageError, showEnding } from "./matrix/stage.ts";
import { withStreamer } from "./matrix/streamer.ts";
import { findPeer } from "./peer.ts";

const repository = resolve(import.meta.dir, "..");

/** Who acts in a step. */
export type Side = "ours" | "peer";

/** One step between READY and the trigger. */
export type Step =
	/** `streamed`: through a streamer. `packed`: pages are compressed. */
	| { do: "dump"; by: Side; leave?: "running" | "stopped"; tracked?: boolean; streamed?: boolean; packed?: boolean }
	| { do: "pre-dump"; by: Side; mode: "splice" | "read" }
	/** `mapped`: memory is mapped from the images. */
	| { do: "restore"; by: Side; stopped?: boolean; mapped?: boolean; streamed?: boolean }
	/** `daemon`: whose lazy-pages brings the memory. `hot`: the program's check begins while it does. */
	| { do: "lazy-restore"; by: Side; daemon: Side; hot?: boolean }
	/** A dump of the tree while it runs, which is ended then. */
	| { do: "snapshot"; by: Side }
	/** Dump and restore at once, with a pipe between them. */
	| { do: "pipe"; by: Side }
	| { do: "continue" }
	| { do: "decode" }
	| { do: "storm"; by: Side }
	| { do: "refuse" };

/** A way of running any scenario. */
export interface Mode {
	name: string;
	/** A sentence's end: "SCENARIO …". */
	title: string;
	steps: readonly Step[];
}

const dump = (by: Side, leave?: "running" | "stopped"): Step =>
	leave === undefined ? { do: "dump", by } : { do: "dump", by, leave };
const preDump = (mode: "splice" | "read"): Step => ({ do: "pre-dump", by: "ours", mode });
const lazyRestore = (by: Side, daemon: Side, hot = false): Step => ({ do: "lazy-restore", by, daemon, hot });
const mappedRestore: Step = { do: "restore", by: "ours", mapped: true };
const restore = (by: Side, stopped = false): Step => ({ do: "restore", by, stopped });
const capture = (by: Side): Step => ({ do: "dump", by, streamed: true });
const pack: Step = { do: "dump", by: "ours", packed: true };
const serve = (by: Side): Step => ({ do: "restore", by, streamed: true });

/** Every mode. A new one here runs all scenarios. */
export const modes: readonly Mode[] = [
	{ name: "none", title: "passes without a checkpoint", steps: [] },
	{
		name: "ours-ours",
		title: "survives dump, restore, dump, restore",
		steps: [dump("ours"), restore("ours"), dump("ours"), restore("ours")],
	},
	{ name: "once", title: "survives dump and restore (for slow machines)", steps: [dump("ours"), restore("ours")] },
	{
		name: "ours-peer",
		title: "is dumped by ours, restored by the peer, and both again by ours",
		steps: [dump("ours"), { do: "decode" }, restore("peer"), dump("ours"), restore("ours")],
	},
	{
		name: "peer-ours",
		title: "is dumped by the peer, restored by ours, and both again by the peer",
		steps: [dump("peer"), { do: "decode" }, restore("ours"), dump("peer"), restore("peer")],
	},
	{
		name: "leave-running",
		title: "goes on unharmed after dumps that leave it running",
		steps: [dump("ours", "running"), dump("ours", "running")],
	},
	{
		name: "leave-stopped",
		title: "runs on, or stays stopped, after dumps and restores when asked, twice",
		steps: [
			dump("ours", "running"),
			dump("ours", "stopped"),
			{ do: "continue" },
			dump("ours"),
			restore("ours", true),
			{ do: "continue" },
			dump("ours"),
			restore("ours"),
		],
	},
	{
		name: "storm",
		title: "at full speed, loses and doubles nothing in many dumps that leave it running",
		steps: [{ do: "storm", by: "ours" }, dump("ours"), restore("ours")],
	},
	{
		name: "chain",
		title: "survives chains of pre-dumps and dumps, restored by ours and by the peer",
		steps: [
			preDump("splice"),
			preDump("read"),
			dump("ours"),
			restore("ours"),
			preDump("read"),
			{ do: "dump", by: "ours", leave: "running", tracked: true },
			dump("ours", "running"),
			preDump("splice"),
			dump("ours"),
			restore("peer"),
		],
	},
	{
		name: "lazy",
		title: "gets its memory while it runs",
		steps: [dump("ours"), lazyRestore("ours", "ours"), dump("ours"), lazyRestore("ours", "ours", true)],
	},
	{
		name: "lazy-peer",
		title: "gets its memory while it runs, with the peer's daemon and the peer's restore",
		steps: [dump("peer"), lazyRestore("ours", "peer"), dump("ours"), lazyRestore("peer", "ours")],
	},
	{
		name: "mapped",
		title: "runs on memory mapped from the images, of which dumps are whole again",
		steps: [
			dump("ours"),
			mappedRestore,
			dump("ours", "running"),
			dump("ours"),
			mappedRestore,
			dump("ours"),
			restore("peer"),
		],
	},
	{
		name: "stream",
		title: "goes through an image streamer, both ways with the peer, and through a pipe",
		steps: [capture("peer"), serve("ours"), capture("ours"), serve("peer"), { do: "pipe", by: "ours" }],
	},
	{
		name: "snapshot",
		title: "comes back from snapshots as it was while they were made",
		steps: [{ do: "snapshot", by: "ours" }, restore("ours"), { do: "snapshot", by: "ours" }, restore("ours")],
	},
	{
		name: "zstd",
		title: "comes back from compressed pages, at once and while it runs",
		steps: [pack, restore("ours"), pack, lazyRestore("ours", "ours"), pack, restore("ours")],
	},
	{
		name: "pipe",
		title: "goes through pipes, twice",
		steps: [
			{ do: "pipe", by: "ours" },
			{ do: "pipe", by: "ours" },
		],
	},
	{ name: "refused", title: "is refused with its reason and goes on unharmed", steps: [{ do: "refuse" }] },
	{
		name: "peer-peer",
		title: "survives two cycles of the peer alone (control)",
		steps: [dump("peer"), restore("peer"), dump("peer"), restore("peer")],
	},
	{
		name: "peer-storm",
		title: "at full speed, loses and doubles nothing in many dumps of the peer (control)",
		steps: [{ do: "storm", by: "peer" }, dump("peer"), restore("peer")],
	},
];

/** Modes of the peer alone: they show whether a failure of a pairing, or a tag that leaves the peer out, is the peer's. */
const isControl = ({ name }: Mode) => name.startsWith("peer-") && name !== "peer-ours";

/** Modes for scenarios about memory. */
const ofMemory: ReadonlySet<string> = new Set(["chain", "lazy", "lazy-peer"]);

/** What leave-stopped does, too: for scenarios that it isn't for. */
const partsOfStopped: ReadonlySet<string> = new Set(["ours-ours", "leave-running"]);

/** The modes that a scenario runs in. `asked`: modes for a choice of scenarios that are for this one, too. */
export function modesOf(scenario: Scenario, asked: readonly string[] = []): Mode[] {
	return modes.filter((mode) => {
		if (mode.name === "none") return true;
		if (scenario.refused !== undefined) return mode.name === "refused";
		if (mode.name.endsWith("storm") && scenario.storm === 0) return false;
		if (ofMemory.has(mode.name) && !scenario.memory) return false;
		if (partsOfStopped.has(mode.name) && !scenario.skipModes.has("leave-stopped") && !asked.includes(mode.name))
			return false;
		if (mode.name === "mapped" && !scenario.mapped && !asked.includes(mode.name)) return false;
		if (mode.name === "stream" && !scenario.streamed && !asked.includes(mode.name)) return false;
		// The last step of stream, and what test/pages tries under load; these are for a look at any scenario.
		if (["once", "pipe", "snapshot", "zstd"].includes(mode.name) && !asked.includes(mode.name)) return false;
		if (isControl(mode)) return process.env["CRIU_PEER_CONTROL"] === "1";
		return mode.name !== "refused";
	});
}

/** The criu under test. */
export function ourCriu(): string {
	return process.env["CRIU_BIN"] ?? join(repository, "dist/criu");
}

/** Verdict of a run that didn't fail. */
export type Verdict = { passed: true } | { skipped: string };

class Skip extends Error {}

/** What all runs share: programs, where they are. */
export interface Host {
	stage: string;
	/** The compiled sharing.c. */
	sharing: string;
	kdat: string;
	criu: Record<Side, string | undefined>;
	peerMissing: string;
	reader: CritReader | undefined;
}

let shared: Promise<Host> | undefined;

async function prepare(): Promise<Host> {
	const peer = findPeer();
	const [stage, sharing] = await Promise.all([buildStage(), buildHelper("sharing")]);
	const kdat = join(repository, `build/scenarios/criu.kdat.${process.pid}`); // other test runs may go on beside
	const ours = ourCriu();
	if (!existsSync(ours)) throw new Error(`no criu at ${ours}: run "npm run build" first, or set CRIU_BIN`);
	const missing = "missing" in peer ? peer.missing : "";
	if ("missing" in peer)
		return { stage, sharing, kdat, criu: { ours, peer: undefined }, peerMissing: missing, reader: undefined };
	const wrapped = await wrapPeer(peer.criu);
	await warmPeer(stage, wrapped, kdat);
	const criu = { ours: ours === peer.criu ? wrapped : ours, peer: wrapped };
	return { stage, sharing, kdat, criu, peerMissing: "", reader: new CritReader(peer) };
}

/** Compiles the stage and finds both criu, once for all runs of this process; closeMatrix ends what it holds. */
export function openHost(): Promise<Host> {
	shared ??= prepare();
	return shared;
}

/** Lets the peer probe the kernel once and keeps the result, which each stage then finds in its /run. */
async function warmPeer(program: string, criu: string, kdat: string): Promise<void> {
	const stage = await Stage.open({ program, log: "/dev/null" });
	try {
		rmSync(kdat, { force: true });
		await stage.run("/dev/null", "/", [criu, "check"]);
		await stage.run("/dev/null", "/", ["cp", "/run/criu.kdat", kdat]);
	} finally {
		await stage.close();
	}
}

/** Ends what all runs share and puts the machine back. */
export async function closeMatrix(): Promise<void> {
	const opened = await shared?.catch(() => undefined);
	shared = undefined;
	await opened?.reader?.close();
	if (opened !== undefined) rmSync(opened.kdat, { force: true });
	if (opened?.criu.peer !== undefined) rmSync(opened.criu.peer, { force: true });
	restoreMachine();
}

/** Memory ahead of a dump; the next step's images build on these. */
async function doPreDump(run: Run, by: Side, mode: string): Promise<void> {
	const args = ["pre-dump", "-t", String(run.pid), "--pre-dump-mode", mode, ...startImages(run)];
	await run.criu(by, join(run.images, "dump.log"), args);
	run.parent = run.images;
	await run.settleAsleep();
	await run.compare();
}

/** A new directory for images, and the arguments that name it and what it builds on. */
function startImages(run: Run): string[] {
	run.images = join(run.dir, `images${++run.dumps}`);
	mkdirSync(run.images);
	const parent = run.parent === undefined ? [] : ["--prev-images-dir", `../${basename(run.parent)}`];
	return ["-D", run.images, "-o", "dump.log", "-v4", ...parent];
}

async function doDump(run: Run, step: Extract<Step, { do: "dump" }>): Promise<void> {
	const { by, leave, tracked = false, streamed = false, packed = false } = step;
	const images = startImages(run);
	run.parent = tracked ? run.images : undefined;
	const { options, dumpOptions } = run.scenario;
	const args = ["dump", "-t", String(run.pid), ...images, ...options, ...dumpOptions];
	if (tracked) args.push("--track-mem");
	if (packed) args.push("--zstd");
	if (leave !== undefined) args.push(leave === "running" ? "--leave-running" : "--leave-stopped");
	if (streamed)
		await withStreamer("capture", run.images, () =>
			run.criu(by, join(run.images, "dump.log"), args.concat("--stream")),
		);
	else await run.criu(by, join(run.images, "dump.log"), args);
	if (by === "ours" && !streamed && !packed) checkPageCounts(run.images);
	if (leave === undefined) {
		const ending = await run.stage.died(run.pid, 60_000);
		if (ending.how !== "signal" || ending.code !== 9)
			throw new Error(`after the dump the program ended by ${showEnding(ending)}`);
		await run.expectGone();
		return;
	}
	await (leave === "stopped" ? run.settle(allStopped, true) : run.settleAsleep());
	await run.compare(leave === "stopped");
}

async function doRestore(run: Run, step: Extract<Step, { do: "restore" }>): Promise<void> {
	const { by, stopped = false, mapped = false, streamed = false } = step;
	const { options, restoreOptions } = run.scenario;
	const args = ["restore", "-d", "-D", run.images, "-o", "restore.log", "-v4", ...options, ...restoreOptions];
	if (stopped) args.push("--leave-stopped");
	if (mapped) args.push("--map-pages");
	run.mapped = mapped;
	const log = join(run.images, "restore.log");
	if (streamed) await withStreamer("serve", run.images, () => run.criu(by, log, args.concat("--stream")));
	else await run.criu(by, log, args);
	await (stopped ? run.settle(allStopped, true) : run.settleAsleep());
	await run.compare(stopped);
}

async function doSnapshot(run: Run, by: Side): Promise<void> {
	const images = startImages(run);
	run.parent = undefined;
	const { options, dumpOptions } = run.scenario;
	const args = ["dump", "-R", "--snapshot", "-t", String(run.pid), ...images, ...options, ...dumpOptions];
	await run.criu(by, join(run.images, "dump.log"), args);
	await run.settleAsleep();
	await run.compare();
	await run.endTree();
	await run.stage.died(run.pid, 60_000);
	await run.expectGone();
}

async function doPipe(run: Run): Promise<void> {
	const { options, dumpOptions, restoreOptions } = run.scenario;
	const script = `set -o pipefail; "$0" dump -D - -t ${run.pid} $1 | "$0" restore -d -D - $2`;
	const more = [dumpOptions, restoreOptions].map((own) => [...options, ...own].join(" "));
	const program = ["bash", "-c", script, run.host.criu.ours ?? "", ...more];
	const ending = await run.stage.run(join(run.dir, "criu.out"), run.dir, program);
	if (ending.how !== "exit" || ending.code !== 0)
		throw new Error(`the pipe ended with ${showEnding(ending)}${run.tail(join(run.dir, "criu.out"))}`);
	await run.stage.died(run.pid, 60_000);
	await run.settleAsleep();
	await run.compare();
}

/** The daemon, which has to end well once all pages are there; with `hot` that is waited for after the program's check. */
async function doLazyRestore(run: Run, { by, daemon, hot }: Extract<Step, { do: "lazy-restore" }>): Promise<void> {
	const pidfile = join(run.dir, `lazy.pid${run.dumps}`);
	const log = join(run.images, "lazy.log");
	const args = ["lazy-pages", "-d", "--pidfile", pidfile, "-D", run.images, "-o", "lazy.log", "-v4"];
	await run.criu(daemon, log, args);
	const pid = Number(readFileSync(pidfile, "latin1"));
	run.atEnd = async () => {
		const ending = await run.stage.died(pid);
		if (ending.how !== "exit" || ending.code !== 0)
			throw new Error(`${daemon}: lazy-pages ended with ${showEnding(ending)}${run.tail(log)}`);
	};
	const { options, restoreOptions } = run.scenario;
	const lazy = ["restore", "-d", "--lazy-pages", "-D", run.images, "-o", "restore.log", "-v4"];
	await run.criu(by, join(run.images, "restore.log"), [...lazy, ...options, ...restoreOptions]);
	if (hot) return;
	await run.finish();
	await run.settleAsleep();
	await run.compare();
}

/** What a run of all tests has time for; as many as the scenario asks for come with CRIU_STORM_DUMPS. */
const MAX_STORM_DUMPS = 4;

/** Dumps in a row; CRIU_STORM_DUMPS asks for another number of them. */
async function doStorm(run: Run, by: Side): Promise<void> {
	const dumps = Number(process.env["CRIU_STORM_DUMPS"] ?? Math.min(run.scenario.storm, MAX_STORM_DUMPS));
	for (let i = 0; i < dumps; i++) {
		await doDump(run, { do: "dump", by, leave: "running" });
		rmSync(run.images, { recursive: true });
	}
}

async function doRefuse(run: Run): Promise<void> {
	const name = run.scenario.refused ?? "";
	const code = refusalCodes[name];
	if (code === undefined) throw new Error(`no refusal called ${name} in test/matrix/refusals.ts`);
	const images = join(run.dir, "images");
	mkdirSync(images);
	const output = join(run.dir, "criu.out");
	const args = ["dump", "-t", String(run.pid), "-D", images, "-o", "dump.log", "-v4", ...run.scenario.options];
	const ending = await run.stage.run(output, run.dir, [run.host.criu.ours ?? "", ...args]);
	const log = join(images, "dump.log");
	if (ending.how !== "exit" || ending.code !== 1)
		throw new Error(`dump ended with ${showEnding(ending)}, wanted 1${run.tail(log)}`);
	const text = [output, log].map((path) => (existsSync(path) ? readFileSync(path, "latin1") : "")).join("\n");
	for (const word of [code, ...run.scenario.refusalTexts])
		if (!text.includes(word)) throw new Error(`the refusal does not say ${word}${run.tail(log)}`);
	await run.settleAsleep();
	await run.compare();
}

async function doStep(run: Run, step: Step): Promise<void> {
	if (step.do === "dump") return doDump(run, step);
	if (step.do === "pre-dump") return doPreDump(run, step.by, step.mode);
	if (step.do === "restore") return doRestore(run, step);
	if (step.do === "snapshot") return doSnapshot(run, step.by);
	if (step.do === "pipe") return doPipe(run);
	if (step.do === "lazy-restore") return doLazyRestore(run, step);
	if (step.do === "refuse") return doRefuse(run);
	if (step.do === "storm") return doStorm(run, step.by);
	if (step.do === "decode") {
		if (run.scenario.skipDecode !== undefined) return;
		const answer = await run.host.reader?.read(run.images);
		if (answer === undefined) return;
		if (answer.bad.length > 0) throw new Error(`the peer's crit cannot decode:\n  ${answer.bad.join("\n  ")}`);
		const different = compareCrit(run.images, answer);
		if (different.length > 0) throw new Error(`our crit and the peer's:\n  ${different.join("\n  ")}`);
		return;
	}
	await run.continueTree();
	await run.settleAsleep();
	await run.compare();
}

/** Starts the program and takes the first snapshot. */
async function startProgram(run: Run, program: string): Promise<void> {
	run.pid = await run.stage.start(run.out, run.work, [program, run.out, ...run.scenario.args]);
	const early = await run.stage.ready(run.pid);
	if (early !== undefined) judge(run.lastLine(), showEnding(early));
	await run.settleAsleep();
	run.before = await run.takeSnapshot();
}

function judge(line: string, ending: string): void {
	if (line.startsWith("SKIP: ")) throw new Skip(line.slice(6));
	if (line !== "PASS" || ending !== "exit code 0")
		throw new Error(`the program says "${line}" and ended with ${ending}`);
}

async function playSteps(run: Run, mode: Mode): Promise<void> {
	await startProgram(run, await buildScenario(run.scenario));
	for (const [i, step] of mode.steps.entries()) {
		run.step = `step ${i + 1} (${step.do}${"by" in step ? ` by ${step.by}` : ""})`;
		await doStep(run, step);
	}
	run.step = "the program's check";
	if (run.scenario.stopped) await run.stage.kill(run.pid, 18);
	if (run.scenario.trigger === "file") writeFileSync(`${run.out}.go`, "");
	else await run.stage.kill(run.pid, 15);
	const ending = await run.stage.died(run.pid);
	judge(run.lastLine(), showEnding(ending));
	await run.finish();
	await run.expectNothingLeft();
}

function findReasonToSkip(scenario: Scenario, mode: Mode, host: Host): string | undefined {
	const actors = (step: Step) => [...("by" in step ? [step.by] : []), ...("daemon" in step ? [step.daemon] : [])];
	const withPeer = mode.steps.some((step) => actors(step).some((by) => host.criu[by] === host.criu.peer));
	if (withPeer && host.criu.peer === undefined) return host.peerMissing;
	if (withPeer && scenario.skipPeer !== undefined && !isControl(mode)) return scenario.skipPeer;
	const withUs = mode.steps.some((step) => "by" in step && step.by === "ours");
	if (withUs && scenario.skipOurs !== undefined && host.criu.ours !== host.criu.peer) return scenario.skipOurs;
	if (mode.name === "refused" && host.criu.ours === host.criu.peer)
		return "the criu under test is the peer, which refuses less";
	if (scenario.skipModes.has(mode.name)) return scenario.skipModes.get(mode.name);
	const needs = withPeer ? [...scenario.needs, ...scenario.peerNeeds] : scenario.needs;
	return needs.map(findLack).find((lack) => lack !== undefined);
}

/**
 * Runs one scenario in one mode. The run's folder in /tmp is removed unless it failed; then it's named in the error.
 * @throws Error with step, reason and the tails of logs when anything isn't as it should be.
 */
export async function runScenario(scenario: Scenario, mode: Mode, keep = false): Promise<Verdict> {
	const host = await openHost();
	const lack = findReasonToSkip(scenario, mode, host);
	if (lack !== undefined) return { skipped: lack };
	const dir = mkdtempSync(join(tmpdir(), `matrix-${scenario.name}-${mode.name}-`));
	chmodSync(dir, 0o755);
	mkdirSync(join(dir, "work"));
	chmodSync(join(dir, "work"), 0o777);
	const tty = scenario.needs.includes("tty");
	const stage = await Stage.open({ program: host.stage, kdat: host.kdat, tty, log: join(dir, "stage.log") });
	const run = new Run(scenario, host, stage, dir);
	try {
		await playSteps(run, mode);
	} catch (error) {
		if (error instanceof Skip) {
			rmSync(dir, { recursive: true, force: true });
			return { skipped: error.message };
		}
		const text =
			error instanceof Error && !(error instanceof StageError) ? error.message : `${error}; says "${run.lastLine()}"`;
		throw new Error(`${scenario.name} ${mode.name}: ${run.step}: ${text}\nkept: ${dir}`);
	} finally {
		await stage.close();
	}
	if (!keep) rmSync(dir, { recursive: true, force: true });
	return { passed: true };
}

/** Lets at most `limit` of the given jobs run at once. */
export function limitJobs(limit: number): <T>(job: () => Promise<T>) => Promise<T> {
	let running = 0;
	const queue: (() => void)[] = [];
	return async (job) => {
		if (running >= limit) await new Promise<void>((go) => queue.push(go));
		running++;
		try {
			return await job();
		} finally {
			running--;
			queue.shift()?.();
		}
	};
}

async function main(args: string[]): Promise<number> {
	const wantedModes = args.flatMap((arg, i) => (arg === "--mode" ? [args[i + 1] ?? ""] : []));
	const keep = args.includes("--keep");
	const names = args.filter((arg, i) => !arg.startsWith("--") && args[i - 1] !== "--mode");
	const limit = limitJobs(Number(process.env["CRIU_TEST_JOBS"] ?? "3"));
	let failed = 0;
	const jobs = listScenarios()
		.filter((scenario) => names.length === 0 || names.includes(scenario.name))
		.flatMap((scenario) => modesOf(scenario, wantedModes).map((mode) => ({ scenario, mode })))
		.filter(({ mode }) => wantedModes.length === 0 || wantedModes.includes(mode.name));
	const work = jobs.map(({ scenario, mode }) =>
		limit(async () => {
			const start = performance.now();
			try {
				const verdict = await runScenario(scenario, mode, keep);
				const text = "skipped" in verdict ? `skip  ${verdict.skipped}` : "pass";
				console.log(
					`${scenario.name.padEnd(28)} ${mode.name.padEnd(14)} ${String(Math.round(performance.now() - start)).padStart(5)} ms  ${text}`,
				);
			} catch (error) {
				failed++;
				console.log(
					`${scenario.name.padEnd(28)} ${mode.name.padEnd(14)} FAIL\n${error instanceof Error ? error.message : error}`,
				);
			}
		}),
	);
	await Promise.all(work);
	await closeMatrix();
	console.log(`${jobs.length} runs, ${failed} failed`);
	return failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
