// SPDX-License-Identifier: GPL-2.0-only
// A target that faults must not harm: target.c in a stage of its own, what of it has to stay the same, and the proof that
// it is well.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildStage } from "../matrix/scenario.ts";
import { compareSnapshots, type Snapshot, stateOf, statesOf } from "../matrix/snapshot.ts";
import { type Ending, Stage, showEnding } from "../matrix/stage.ts";
import { listTree, takeTreeSnapshot } from "../matrix/tree.ts";

const root = join(import.meta.dir, "../..");
const buildDir = join(root, "build/faults");
const SIGUSR1 = 10;
const SIGCONT = 18;
const SIGSTOP = 19;
const SETTLE_MS = 30_000;
/** After this long a group-stopped target is continued: it finishes the cure then at the latest. */
const NUDGE_MS = 100;

/** Where this test's criu is. */
export const criu = process.env["CRIU_BIN"] ?? join(root, "dist/criu");

/** What a target does, and what is special about it. */
export interface VictimKind {
	name: string;
	/** First argument of target.c: modes of threads divided by ",", of processes by "/". */
	mode: string;
	linkStatic?: boolean;
	/** It goes on only when SIGUSR1 comes. */
	poke?: boolean;
	/** It stands in a group stop. */
	stopped?: boolean;
	/** SIGUSR1 comes all the time. */
	storm?: boolean;
	/** `mode` is one of restless.c: tasks come and go, so less of it can be compared. */
	restless?: boolean;
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
let stageProgram: Promise<string> | undefined;

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

/** Kinds of several threads or processes. */
export const CROWDS: readonly VictimKind[] = [
	{ name: "of eight threads", mode: "busy,calm,nanosleep,poll,select,futex_timed,ping,pong" },
	{ name: "of threads in a storm of signals", mode: "storm,calm,ping,pong", storm: true },
	{ name: "of nine processes", mode: "calm/calm,nanosleep,ping,pong/writer/reader/zombie/killed/stopped/poll/busy" },
];

/** Calls of threads that a death of criu may end with EINTR: reference/injection.md, section 6. */
export const mayBreakOff = ({ mode }: VictimKind) => /nanosleep|poll|futex_timed|calm|ping|reader/.test(mode);

/** Compiles one of the C programs of this folder, once per test run; gives its path. */
export function buildProgram(name: "target" | "target-static" | "killer" | "restless"): Promise<string> {
	const source = `${name.replace("-static", "")}.c`;
	const flags = name === "target-static" ? ["-pthread", "-static"] : ["-pthread"];
	const build = builds.get(name) ?? compile(source, name, flags);
	builds.set(name, build);
	return build;
}

const SCORE_FIELDS = ["ready", "progress", "errors", "errorKind", "eintr", "signals", "lateNs", "pid"] as const;
/** Of one thread. `ready`: 1 it works, 2 it's dead or stopped as it should be. */
export type Score = Record<(typeof SCORE_FIELDS)[number], number>;

/** Only what a fault could leave behind: times, counters and run states are the program's own business. */
const WATCHED =
	/^(proc\/\d+\/)?(task\/\d+\/)?(maps\/|smaps\/.*\/VmFlags|fd\/|status\/(Sig(Pnd|Blk|Ign|Cgt)|ShdPnd|Threads|Seccomp)|tree|tasks|exe|cwd|root|limits)/;

/** What is fixed in a restless tree: nobody has memory as an agent needs it. */
const isLeftover = (key: string, value: string) => key.endsWith("/perms") && value === "rwxs";

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
	/** Processes that stand in a group stop. */
	private halted: number[] = [];
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
		stageProgram ??= buildStage();
		const stage = await Stage.open({ program: await stageProgram, log: join(dir, "stage.log") });
		const victim = new Victim(kind, stage, dir);
		await victim.launch();
		return victim;
	}

	private async launch(): Promise<void> {
		const { kind, stage, dir } = this;
		const program = await buildProgram(kind.restless ? "restless" : kind.linkStatic ? "target-static" : "target");
		this.pid = await stage.start(join(dir, "out"), dir, [program, kind.mode, this.page]);
		await this.until("its start", () => existsSync(this.page) && this.hasStarted());
		if (kind.stopped) await this.stop();
		this.halted = this.pids.filter((pid) => stateOf(stage.procPath(pid)) === "T");
		this.before = this.look();
		if (kind.storm) void this.throwSignals();
	}

	private hasStarted(): boolean {
		const scores = this.scores();
		return this.kind.restless ? scores.some(({ progress }) => progress > 0) : scores.every(({ ready }) => ready !== 0);
	}

	private async throwSignals(): Promise<void> {
		const argv = [await buildProgram("killer"), "throw", String(this.pid)];
		await this.stage.run("/dev/null", this.dir, argv, 600_000).catch(() => undefined);
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

	/** Waits for the end of what a killed criu has left behind to put things right. */
	async untilAlone(): Promise<void> {
		const own = new Set(["1", ...this.pids.map(String)]);
		const proc = `/proc/${this.stage.outerPid}/root/proc`;
		const isAlive = (pid: string) => /^[^ZX]$/.test(stateOf(`${proc}/${pid}`) ?? "X");
		const others = () => readdirSync(proc).filter((name) => /^\d+$/.test(name) && !own.has(name) && isAlive(name));
		await this.until("the end of criu's helpers", () => others().length === 0);
	}

	private async stop(): Promise<void> {
		await this.stage.kill(this.pid, SIGSTOP);
		await this.until("its stop", () => stateOf(this.procPath) === "T");
	}

	/** The root and its descendants. */
	get pids(): number[] {
		return listTree(dirname(this.procPath), this.pid);
	}

	/** The fields that have to stay. */
	private look(): Snapshot {
		const kept: Snapshot = new Map();
		for (const [key, value] of takeTreeSnapshot(dirname(this.procPath), this.pid, "")) {
			const watched = this.kind.restless ? isLeftover(key, value) : WATCHED.test(key);
			if (!watched) continue;
			const noisy = this.kind.storm && /Sig(Pnd|Blk)|ShdPnd/.test(key);
			kept.set(key, noisy ? (BigInt(`0x${value}`) & ~(1n << BigInt(SIGUSR1 - 1))).toString(16) : value);
		}
		return kept;
	}

	/** Of all threads, in the order of the cast. */
	scores(): Score[] {
		const bytes = readFileSync(this.page);
		const slots = this.kind.restless ? [0, 1, 2, 3] : this.kind.mode.split(/[,/]/);
		const read = (slot: number, field: number) => {
			const at = (slot * SCORE_FIELDS.length + field) * 8;
			return at + 8 <= bytes.length ? Number(bytes.readBigUInt64LE(at)) : 0;
		};
		return slots.map(
			(_, slot) => Object.fromEntries(SCORE_FIELDS.map((name, field) => [name, read(slot, field)])) as Score,
		);
	}

	/** Of the first thread. */
	score(): Score {
		return this.scores()[0] as Score;
	}

	/** Calls of all threads that ended with EINTR. */
	get eintr(): number {
		return this.scores().reduce((sum, { eintr }) => sum + eintr, 0);
	}

	get alive(): boolean {
		// While a thread executes a program there are instants in which none of the listed ones is alive.
		return [1, 2, 3].some(() => /[^ZX]/.test(statesOf(this.procPath)));
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
			if (this.halted.length > 0 && !nudged && waited > NUDGE_MS) {
				nudged = true;
				for (const pid of this.halted) await this.stage.kill(pid, SIGCONT);
			}
			await Bun.sleep(1);
		}
		// The root of a stopped kind is continued for its progress anyway; others stop themselves again.
		if (!this.kind.stopped || !nudged)
			await this.until("its stop", () => this.halted.every((pid) => stateOf(this.stage.procPath(pid)) === "T"));
		await this.expectProgress(after);
		return nudged;
	}

	/** Throws unless the target goes on and its checks of itself have passed. */
	async expectProgress(after: string): Promise<void> {
		const { stopped, poke } = this.kind;
		const from = this.scores().map(({ progress }) => progress + (poke ? 0 : 1));
		if (stopped) await this.stage.kill(this.pid, SIGCONT);
		if (poke) await this.stage.kill(this.pid, SIGUSR1);
		await this.until(`progress of all after ${after}`, () =>
			this.scores().every(({ ready, progress }, i) => ready !== 1 || progress > (from[i] ?? 0)),
		);
		if (stopped) await this.stop();
		for (const [i, { errors, errorKind }] of this.scores().entries())
			if (errors !== 0)
				throw new Error(
					`${after}: thread ${i} of the target ${this.kind.name} found ${errors} errors in itself, kind ${errorKind}`,
				);
	}

	/** Pid of a process of the cast. */
	pidOf(process: number): number {
		const slot = this.kind.mode.split("/").slice(0, process).join(",").split(",").filter(Boolean).length;
		return this.scores()[slot]?.pid ?? 0;
	}

	/** Throws unless all threads but those of one process of the cast go on. What they find amiss is that its parent lost it. */
	async expectOthersGoOn(process: number, after: string): Promise<void> {
		const cast = this.kind.mode.split("/").map((threads) => threads.split(","));
		const lost = cast.flatMap((threads, at) => threads.map(() => at === process));
		// Writer and reader of a pipe depend on each other.
		const pair = ["writer", "reader"].includes(cast[process]?.[0] ?? "");
		const modes = cast.flat();
		const from = this.scores().map(({ progress }) => progress + 1);
		await this.until(`progress of the others after ${after}`, () =>
			this.scores().every(
				({ ready, progress }, i) =>
					ready !== 1 ||
					lost[i] === true ||
					(pair && ["writer", "reader"].includes(modes[i] ?? "")) ||
					progress > (from[i] ?? 0),
			),
		);
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
