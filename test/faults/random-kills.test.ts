// SPDX-License-Identifier: GPL-2.0-only
// criu ended by signals at random instants of dumps, a few rounds per target: no target may notice. `npm run soak` plays
// thousands. CRIU_SEED repeats a run.

import { expect, test } from "bun:test";
import { describeAsRoot } from "../as-root.ts";
import { makeRandom } from "../images/random-message.ts";
import { limitJobs } from "../matrix.ts";
import { playKills, playRestoreKills } from "./kills.ts";
import { CROWDS, mayBreakOff, VICTIMS } from "./victim.ts";

const ROUNDS = 14;
const RESTORE_ROUNDS = 12;
const inTurn = limitJobs(2);
const isRoot = process.getuid?.() === 0;
const seed = Number(process.env["CRIU_SEED"] ?? Date.now() % 1_000_000);
if (isRoot) console.log(`random kills: CRIU_SEED=${seed}`);

describeAsRoot("a target goes on unharmed when criu gets", () => {
	for (const [i, kind] of [...VICTIMS, ...CROWDS].entries())
		test.concurrent(
			`SIGKILL at random instants of its dump: target ${kind.name}`,
			() =>
				inTurn(async () => {
					const summary = await playKills(kind, ROUNDS, seed + i);
					expect(summary).toMatchObject({ casualties: 0, reports: [], rounds: ROUNDS, refused: 0 });
					if (kind.storm) return;
					if (mayBreakOff(kind)) expect(summary.eintr).toBeLessThanOrEqual(2);
					else expect(summary.eintr).toBe(0);
				}),
			1_800_000, // they wait for their turn
		);

	for (const [name, signal] of [
		["SIGINT", 2],
		["SIGTERM", 15],
		["SIGHUP", 1],
	] as const)
		test.concurrent(
			`${name} at random instants of its dump`,
			() =>
				inTurn(async () => {
					const summary = await playKills({ name: "computing", mode: "busy" }, ROUNDS, seed + 100 + signal, signal);
					expect(summary).toMatchObject({ casualties: 0, reports: [], rounds: ROUNDS });
				}),
			1_800_000, // they wait for their turn
		);
});

describeAsRoot("a restore", () => {
	test.concurrent(
		"leaves no process when it is killed at a random instant",
		() => inTurn(async () => void (await playRestoreKills(RESTORE_ROUNDS, makeRandom(seed)))),
		1_800_000, // they wait for their turn
	);
});
