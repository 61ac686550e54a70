// SPDX-License-Identifier: GPL-2.0-only
// A target that faults must not harm: target.c in a stage of its own, what of it has to stay the same, and the proof that
// it is well.

import {
	closeSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readFileSync,
	readSync,
	renameSync,
	rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildStage } from "../matrix/scenario.ts";
import { compareSnapshots, type Snapshot, stateOf, takeSnapshot } from "../matrix/snapshot.ts";
import { type Ending, Stage, showEnding } from "../matrix/stage.ts";

const root = join(import.meta.dir, "../..");
const buildDir = join(root, "build/faults");
const SIGUSR1 = 10;
const SIGCONT = 18;
const SIGSTOP = 19;
const SETTLE_MS = 10_000;
/** After this long a group-stopped target is continued: it finishes the cure then at the latest. */
const NUDGE_MS = 100;

/** Where this test's criu is. */
export const criu = process.env["CRIU_BIN"] ?? join(root, "dist/criu");

/** What a target does, and what is special about it. */
export interface VictimKind {
	name: string;
	/** First argument of target.c. */
	mode: string;
	linkStatic?: boolean;
	/** It goes on only when SIGUSR1 comes. */
	poke?: boolean;
	/** It stands in a group stop. */
	stopped?: boolean;
	/** SIGUSR1 comes all the time. */
	storm?: boolean;
}

export const VICTIMS: readonly VictimKind[] = [
	{ name: "computing with all registers", mode: "busy" },
	{ name: "blocked in nanosleep", mode: "nanosleep" },
	{ name: "blocked in poll", mode: "poll" },
	{ name: "blocked in select", mode: "select" },
	{ name: "blocked in read on a pipe", mode: "read", poke: true },
	{ name: "blocked in futex", mode: "futex", poke: true },
	{ name: "blocked in futex with a time limit", mode: "futex_timed" },
	{ name: "on its alternate stack", mode: "altstack" },
	{ name: "in a storm of signals", mode: "storm", storm: true },
	{ name: "linked statically", mode: "busy", linkStatic: true },
	{ name: "stopped by SIGSTOP", mode: "busy", stopped: true },
];

const builds = new Map<string, Promise<string>>();

async function compile(source: string, name: string, flags: string[]): Promise<string> {
	mkdirSync(buildDir, { recursive: true });
	const target = join(buildDir, name);
	const draft = `${target}.${process.pid}`; // renamed when whole: another test run may compile the same file
	const args = [
		"-std=gnu17",
		"-O2",
		"-Wall",
		"-Wextra",
		"-Werror",
		...flags,
		join(import.meta.dir, source),
		"-o",
		draft,
	];
	const child = Bun.spawn(["gcc", ...args], { stdout: "ignore", stderr: "pipe" });
	const text = await new Response(child.stderr).text();
	if ((await child.exited) !== 0) throw new Error(`cannot compile ${source}:\n${text}`);
	renameSync(draft, target);
	return target;
}

/** Compiles one of the C programs of this folder, once per test run; gives its path. */
export function buildProgram(name: "target" | "target-static" | "killer"): Promise<string> {
	const source = `${name.replace("-static", "")}.c`;
	const build = builds.get(name) ?? compile(source, name, name === "target-static" ? ["-static"] : []);
	builds.set(name, build);
	return build;
}

const SCORE_FIELDS = ["ready", "progress", "errors", "errorKind", "eintr", "signals", "lateNs"] as const;
export type Score = Record<(typeof SCORE_FIELDS)[number], number>;

/** Only what a fault could leave behind: times, counters and run states are the program's own business. */
const WATCHED =
	/^(maps\/|smaps\/.*\/VmFlags|fd\/|status\/(Sig(Pnd|Blk|Ign|Cgt)|ShdPnd|Threads|Seccomp)|tasks|exe|cwd|root|limits)/;

/** One line of text, such as `maps/…: was r-xp, is absent`, per field that differs. */
export function describeDifferences(before: Snapshot, after: Snapshot): string[] {
	return compareSnapshots(before, after).map(
		({ key, before: was, after: is }) => `${key}: was ${was ?? "absent"}, is ${is ?? "absent"}`,
	);
}

/** What a run of criu gave. */
export interface CriuRun {
	ending: Ending;
	output: string;
}

/** One target in a pid namespace of its own. Close it. */
export class Victim {
	private before: Snapshot = new Map();
	private runs = 0;
	pid = 0;

	private constructor(
		readonly kind: VictimKind,
		readonly stage: Stage,
		/** Everything of this victim lies here. */
		readonly dir: string,
	) {}

	/** Starts a target and waits until it works. */
	static async start(kind: VictimKind): Promise<Victim> {
		const dir = mkdtempSync(join(tmpdir(), "faults-"));
		const stage = await Stage.open({ program: await buildStage(), log: join(dir, "stage.log") });
		const victim = new Victim(kind, stage, dir);
		await victim.launch();
		return victim;
	}

	private async launch(): Promise<void> {
		const { kind, stage, dir } = this;
		const program = await buildProgram(kind.linkStatic ? "target-static" : "target");
		this.pid = await stage.start(join(dir, "out"), dir, [program, kind.mode, this.page]);
		await this.until("its start", () => existsSync(this.page) && this.score().ready === 1);
		if (kind.stopped) await this.stop();
		this.before = this.look();
		if (kind.storm) void this.throwSignals();
	}

	private async throwSignals(): Promise<void> {
		const text = `while :; do i=0; while [ $i -lt 40 ]; do kill -USR1 ${this.pid} 2>/dev/null; i=$((i+1)); done; sleep 0.01; done`;
		await this.stage.run("/dev/null", this.dir, ["sh", "-c", text], 600_000).catch(() => undefined);
	}

	get page(): string {
		return join(this.dir, "page");
	}

	get procPath(): string {
		return this.stage.procPath(this.pid);
	}

	/** Waits for something that has no event. */
	private async until(what: string, done: () => boolean): Promise<void> {
		const deadline = performance.now() + SETTLE_MS;
		while (!done()) {
			if (performance.now() > deadline) throw new Error(`the target ${this.kind.name}: no sign of ${what}`);
			await Bun.sleep(1);
		}
	}

	private async stop(): Promise<void> {
		await this.stage.kill(this.pid, SIGSTOP);
		await this.until("its stop", () => stateOf(this.procPath) === "T");
	}

	/** The fields that have to stay. */
	private look(): Snapshot {
		const kept: Snapshot = new Map();
		for (const [key, value] of takeSnapshot(this.procPath)) {
			if (!WATCHED.test(key)) continue;
			const noisy = this.kind.storm && /Sig(Pnd|Blk)|ShdPnd/.test(key);
			kept.set(key, noisy ? (BigInt(`0x${value}`) & ~(1n << BigInt(SIGUSR1 - 1))).toString(16) : value);
		}
		return kept;
	}

	score(): Score {
		const fd = openSync(this.page, "r");
		const bytes = Buffer.alloc(SCORE_FIELDS.length * 8);
		readSync(fd, bytes, 0, bytes.length, 0);
		closeSync(fd);
		return Object.fromEntries(SCORE_FIELDS.map((name, i) => [name, Number(bytes.readBigUInt64LE(i * 8))])) as Score;
	}

	get alive(): boolean {
		const state = stateOf(this.procPath);
		return state !== undefined && state !== "Z" && state !== "X";
	}

	/** Runs our criu inside, with CR_FAULT set when a fault is given. `what` is a command and its options but -D and -o. */
	async criu(what: readonly string[], images: string, fault?: string): Promise<CriuRun> {
		const log = join(this.dir, `run${this.runs++}`);
		const env = fault === undefined ? [] : ["env", `CR_FAULT=${fault}`];
		const [command = "", ...options] = what;
		const args = [...env, criu, command, "-D", images, "-W", this.dir, ...options];
		const ending = await this.stage.run(log, this.dir, args);
		return { ending, output: readFileSync(log, "utf8") };
	}

	/** A fresh images directory. */
	makeImages(): string {
		return mkdtempSync(join(this.dir, "images-"));
	}

	/**
	 * Waits until nothing of criu is in the target and throws unless it lives, goes on and passes its own checks.
	 * Gives whether a stopped target had to be continued first.
	 */
	async expectUnharmed(after: string): Promise<boolean> {
		const start = performance.now();
		let nudged = false;
		for (;;) {
			if (!this.alive) throw new Error(`${after}: the target ${this.kind.name} is dead`);
			const differences = describeDifferences(this.before, this.look());
			if (differences.length === 0) break;
			const waited = performance.now() - start;
			if (waited > SETTLE_MS)
				throw new Error(`${after}: the target ${this.kind.name} is changed:\n${differences.slice(0, 12).join("\n")}`);
			if (this.kind.stopped && !nudged && waited > NUDGE_MS) {
				nudged = true;
				await this.stage.kill(this.pid, SIGCONT);
			}
			await Bun.sleep(1);
		}
		if (this.kind.stopped && !nudged) await this.until("its stop", () => stateOf(this.procPath) === "T");
		await this.expectProgress(after);
		return nudged;
	}

	/** Throws unless the target goes on and its checks of itself have passed. */
	async expectProgress(after: string): Promise<void> {
		const { stopped, poke } = this.kind;
		const from = this.score().progress;
		if (stopped) await this.stage.kill(this.pid, SIGCONT);
		if (poke) await this.stage.kill(this.pid, SIGUSR1);
		await this.until(`progress after ${after}`, () => this.score().progress > from + (poke ? 0 : 1));
		if (stopped) await this.stop();
		const { errors, errorKind } = this.score();
		if (errors !== 0)
			throw new Error(`${after}: the target ${this.kind.name} found ${errors} errors in itself, kind ${errorKind}`);
	}

	/** A whole dump that ends the target, a restore, and the proof that it is well. */
	async cycle(after: string): Promise<void> {
		const images = this.makeImages();
		const dumped = await this.criu(["dump", "-t", String(this.pid)], images);
		if (dumped.ending.code !== 0) throw new Error(`${after}: dump gave ${showEnding(dumped.ending)}: ${dumped.output}`);
		await this.stage.died(this.pid);
		const restored = await this.criu(["restore", "-d"], images);
		if (restored.ending.code !== 0)
			throw new Error(`${after}: restore gave ${showEnding(restored.ending)}: ${restored.output}`);
		await this.expectProgress(`${after}, dump and restore`);
		rmSync(images, { recursive: true });
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.stage.close();
		rmSync(this.dir, { recursive: true, force: true });
	}
}
