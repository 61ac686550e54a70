// SPDX-License-Identifier: GPL-2.0-only
// One run of a scenario on its stage: waiting until its tree rests, comparing /proc with the first look, calling criu.

import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Host, Side } from "../matrix.ts";
import { findUnexplained, mappedMayDiffer, mayDiffer, peerMayDiffer, stoppedMayDiffer } from "./may-differ.ts";
import type { Scenario } from "./scenario.ts";
import { compareSnapshots, type Snapshot, statesOf } from "./snapshot.ts";
import { type Stage, showEnding } from "./stage.ts";
import {
	listOthers,
	listRestless,
	listSurvivors,
	listTree,
	listUnstopped,
	takeTreeSnapshot,
	waitForNone,
} from "./tree.ts";

/** So often something has to differ. */
const LOOKS = 4;

/** States of all threads, see settle. */
export const allStopped = /^T+$/;

/** One run: the state that its steps share. */
export class Run {
	readonly out: string;
	readonly work: string;
	pid = 0;
	images = "";
	/** Images that the next ones build on. */
	parent: string | undefined;
	dumps = 0;
	/** What has to be waited for, see finish. */
	atEnd: (() => Promise<void>) | undefined;
	step = "start";
	peerHadAHand = false;
	/** Its memory is mapped from images. */
	mapped = false;
	before: Snapshot = new Map();

	constructor(
		readonly scenario: Scenario,
		readonly host: Host,
		readonly stage: Stage,
		readonly dir: string,
	) {
		this.out = join(dir, "out");
		this.work = join(dir, "work");
	}

	get procPath(): string {
		return this.stage.procPath(this.pid);
	}

	/** The stage's /proc. */
	private get proc(): string {
		return this.procPath.replace(/\/\d+$/, "");
	}

	/**
	 * Waits until the states of all threads of the root match (asleep, stopped), and its descendants rest as they did in
	 * the first snapshot (or have all stopped), which is when the tree can be compared.
	 */
	async settle(wanted: RegExp, stopped = false): Promise<void> {
		await this.settleRoot(wanted);
		if (this.scenario.busy !== "no" && !stopped) return;
		const restless = () =>
			stopped ? listUnstopped(this.proc, this.pid) : listRestless(this.proc, this.pid, this.before);
		const left = await waitForNone(restless, 60_000);
		const moving = left.filter((text) => !/^\d+ [STtZ]+$/.test(text)); // those at another rest are for compare
		if (moving.length > 0) throw new Error(`processes don't come to rest: ${moving.slice(0, 20).join(", ")}`);
	}

	private async settleRoot(wanted: RegExp): Promise<void> {
		const deadline = performance.now() + 60_000;
		for (;;) {
			const states = statesOf(this.procPath);
			if (wanted.test(states)) return;
			if (states === "" || states === "Z") await this.explainDeath();
			if (performance.now() > deadline) throw new Error(`thread states are ${states}, wanted ${wanted.source}`);
			await Bun.sleep(1); // the kernel has no event for "has fallen asleep"
		}
	}

	private async explainDeath(): Promise<never> {
		const ending = await this.stage.died(this.pid, 2_000).catch(() => undefined);
		const how = ending === undefined ? "is gone" : `ended with ${showEnding(ending)}`;
		throw new Error(`the program ${how}, its last words: ${this.lastLine()}`);
	}

	settleAsleep(): Promise<void> {
		const { busy, stopped } = this.scenario;
		if (stopped) return this.settle(allStopped);
		return this.settle(busy === "no" || busy === "children" ? /^S+$/ : busy === "threads" ? /^S[RSD]+$/ : /^[RSD]+$/);
	}

	/** Everything about the tree that's compared. */
	async takeSnapshot(): Promise<Snapshot> {
		const log = join(this.dir, "sharing.out");
		rmSync(log, { force: true });
		const ending = await this.stage.run(log, "/", [this.host.sharing, String(this.pid)]);
		if (ending.how !== "exit" || ending.code !== 0) throw new Error(`sharing.c ended with ${showEnding(ending)}`);
		return takeTreeSnapshot(this.proc, this.pid, readFileSync(log, "latin1"));
	}

	/** Looks again at what differs: a handler that was running is the program's doing, what a checkpoint has changed stays so. */
	async compare(stopped = false): Promise<void> {
		for (let look = 1; ; look++) {
			const lines = await this.findDifferences(stopped);
			if (lines.length === 0) return;
			if (look === LOOKS) throw new Error(`${lines.length} fields of /proc differ:\n${lines.slice(0, 30).join("\n")}`);
			await Bun.sleep(10);
		}
	}

	private async findDifferences(stopped: boolean): Promise<string[]> {
		const now = await this.takeSnapshot();
		// Writes are noted as long as later images build on earlier ones, and not an instant longer.
		if (this.parent !== undefined)
			for (const [key, value] of now) if (key.endsWith("/VmFlags")) now.set(key, value.replace(/ uw\b/, ""));
		const rules = [...mayDiffer, ...this.scenario.mayDiffer, ...(stopped ? stoppedMayDiffer : [])];
		if (this.mapped) rules.push(...mappedMayDiffer);
		if (this.peerHadAHand) rules.push(...peerMayDiffer, ...this.scenario.peerMayDiffer);
		const bad = findUnexplained(compareSnapshots(this.before, now), this.before, now, rules);
		return bad.map(({ key, before, after }) => `  ${key}: before ${show(before)}, after ${show(after)}`);
	}

	/** After a dump that ends the tree: none of it may live on. */
	async expectGone(): Promise<void> {
		const left = await waitForNone(() => listSurvivors(this.proc, this.pid, this.before), 60_000);
		if (left.length > 0) throw new Error(`left after the dump: ${left.slice(0, 20).join(", ")}`);
	}

	/** After the program's end: its stage has to be as empty as it was. */
	async expectNothingLeft(): Promise<void> {
		const left = await waitForNone(() => listOthers(this.proc), 5_000);
		if (left.length > 0) throw new Error(`left behind: ${left.slice(0, 20).join(", ")}`);
	}

	/** SIGCONT to every process that wasn't at a stop of its own in the first snapshot, from the leaves to the root. */
	async continueTree(): Promise<void> {
		for (const pid of listTree(this.proc, this.pid).reverse()) {
			const prefix = pid === this.pid ? "" : `proc/${pid}/`;
			const pattern = new RegExp(`^${prefix}(task/\\d+/)?stat/state$`);
			// What looks like a zombie may have threads that live.
			const states = [...this.before].flatMap(([key, value]) => (pattern.test(key) ? [value] : []));
			const wasDead = states.length > 0 && states.every((state) => state === "Z");
			if (!wasDead && !states.includes("T")) await this.stage.kill(pid, 18);
		}
	}

	/** SIGKILL to every process, from the root to the leaves, as a dump ends a tree. */
	async endTree(): Promise<void> {
		for (const pid of listTree(this.proc, this.pid)) await this.stage.kill(pid, 9);
	}

	/** Waits for the end of what runs beside the program. */
	async finish(): Promise<void> {
		const { atEnd } = this;
		this.atEnd = undefined;
		await atEnd?.();
	}

	lastLine(): string {
		if (!existsSync(this.out)) return "(none)";
		return readFileSync(this.out, "latin1").trimEnd().split("\n").pop() ?? "";
	}

	async criu(by: Side, log: string, args: readonly string[]): Promise<void> {
		const program = this.host.criu[by] ?? "";
		if (program === this.host.criu.peer) this.peerHadAHand = true;
		const ending = await this.stage.run(join(this.dir, "criu.out"), this.dir, [program, ...args]);
		if (ending.how === "exit" && ending.code === 0) return;
		throw new Error(
			`${by === "peer" ? "the peer's" : "our"} ${args[0]} failed with ${showEnding(ending)}${this.tail(log)}`,
		);
	}

	/** Last lines of what criu printed and logged. */
	tail(log: string): string {
		const parts = [join(this.dir, "criu.out"), log].filter((path) => existsSync(path));
		return parts
			.map((path) => `\n--- ${path}\n${readFileSync(path, "latin1").split("\n").slice(-16).join("\n")}`)
			.join("");
	}
}

function show(value: string | undefined): string {
	if (value === undefined) return "(absent)";
	return JSON.stringify(value.length > 300 ? `${value.slice(0, 300)}…` : value);
}
