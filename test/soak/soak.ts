// SPDX-License-Identifier: GPL-2.0-only
// `npm run soak -- [--kills N] [--restores N] [--dumps N] [--seed N] [--signal N] [--only TEXT]`: long series of signals at
// random instants of dumps, spread over all targets, then of restores; then N dumps in a row of each busy crowd, which runs on.
// One line per series. Exit code 0 only without casualties.

import { parseArgs } from "node:util";
import { playKills, playRestoreKills } from "../faults/kills.ts";
import { CROWDS, VICTIMS } from "../faults/victim.ts";
import { makeRandom } from "../images/random-message.ts";
import { playDumps } from "./busy.ts";

/** A fresh target after so many kills, so that one casualty doesn't end the run. */
const SERIES = 100;
const SIDE_BY_SIDE = 2;

const { values } = parseArgs({
	args: Bun.argv.slice(2),
	options: {
		kills: { type: "string", default: "5000" },
		restores: { type: "string", default: "200" },
		dumps: { type: "string", default: "500" },
		seed: { type: "string", default: String(Date.now() % 1_000_000) },
		signal: { type: "string", default: "9" },
		only: { type: "string", default: "" },
	},
});

const totals = { rounds: 0, ended: 0, traced: 0, refused: 0, eintr: 0, casualties: 0 };
const all = [...VICTIMS, ...CROWDS];
const victims = all.filter((kind) => kind.name.includes(values.only));
const kills = Number(values.kills);
const seriesPerVictim = Math.ceil(kills / victims.length / SERIES);
const rounds = kills === 0 ? 0 : Math.ceil(kills / victims.length / seriesPerVictim);
const queue = victims.flatMap((kind) => Array.from({ length: seriesPerVictim }, (_, nr) => ({ kind, nr })));

async function playQueue(): Promise<void> {
	for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
		const { kind, nr } = next;
		const seed = Number(values.seed) + nr * 1000 + all.indexOf(kind);
		try {
			const summary = await playKills(kind, rounds, seed, Number(values.signal));
			for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += summary[key];
			const { reports, ...numbers } = summary;
			console.log(`${kind.name}, seed ${seed}: ${JSON.stringify(numbers)}`);
			for (const report of reports) console.log(`  ${report}`);
		} catch (error) {
			totals.casualties++;
			console.log(`${kind.name}, seed ${seed}: FAILED: ${error instanceof Error ? error.message : error}`);
		}
	}
}

async function playRestores(): Promise<void> {
	if (Number(values.restores) === 0) return;
	try {
		const counts = await playRestoreKills(Number(values.restores), makeRandom(Number(values.seed)));
		console.log(`restores: ${JSON.stringify(counts)}`);
	} catch (error) {
		totals.casualties++;
		console.log(`restores: FAILED: ${error instanceof Error ? error.message : error}`);
	}
}

/** One after the other: their times are compared. */
async function playAllDumps(): Promise<void> {
	const rounds = Number(values.dumps);
	if (rounds === 0) return;
	for (const kind of CROWDS.filter(({ name }) => name.includes(values.only))) {
		try {
			console.log(`${kind.name}: ${await playDumps(kind, rounds)}`);
		} catch (error) {
			totals.casualties++;
			console.log(`${kind.name}: FAILED: ${error instanceof Error ? error.message : error}`);
		}
	}
}

console.log(`soak: ${queue.length} series of ${rounds} kills, seed ${values.seed}, signal ${values.signal}`);
await Promise.all(Array.from({ length: SIDE_BY_SIDE }, playQueue));
await playRestores();
await playAllDumps();
console.log(`soak: ${JSON.stringify(totals)}`);
process.exit(totals.casualties === 0 ? 0 : 1);
