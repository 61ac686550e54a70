// SPDX-License-Identifier: GPL-2.0-only
// The benchmark's command line.

import { parseArgs } from "node:util";
import type { Load } from "./loads/load.ts";

export interface BenchOptions {
	readonly loads: readonly Load[];
	/** Rounds for each load, instead of the load's own number. */
	readonly rounds: number | undefined;
	/** Path of our criu. */
	readonly ours: string;
	/** Path of the peer's criu; undefined: look for it, `none`: do without. */
	readonly peer: string | undefined;
	/** Empty /run before each command, so that what a criu keeps there about the kernel has to be found out again. */
	readonly cold: boolean;
	/** Where all figures go as JSON. */
	readonly json: string | undefined;
}

/** A command line that can't be followed; the message is for the user. */
export class BenchUsageError extends Error {}

/** The text that --help prints. */
export function helpText(all: readonly Load[]): string {
	return [
		"usage: npm run bench -- [--loads NAME,…] [--rounds N] [--ours BIN] [--peer BIN|none] [--cold] [--json FILE]",
		"",
		"Dumps and restores programs with our criu and with the original in turn; needs root. --cold: each command",
		"finds an empty /run, as the first one after a boot or in a new container does. Loads:",
		...all.map((load) => `  ${load.name.padEnd(10)} ${load.title} (${load.rounds} rounds)`),
	].join("\n");
}

function chooseLoads(names: string | undefined, all: readonly Load[]): readonly Load[] {
	if (names === undefined) return all;
	return names.split(",").map((name) => {
		const load = all.find((candidate) => candidate.name === name);
		if (load !== undefined) return load;
		throw new BenchUsageError(`no load ${JSON.stringify(name)}; there are ${all.map((one) => one.name).join(", ")}`);
	});
}

function parseRounds(text: string | undefined): number | undefined {
	if (text === undefined) return undefined;
	if (!/^[1-9]\d{0,5}$/.test(text)) throw new BenchUsageError(`--rounds ${text}: not a number of rounds`);
	return Number(text);
}

/** @throws BenchUsageError; gives "help" when only help is asked for */
export function parseBenchOptions(argv: readonly string[], all: readonly Load[], ours: string): BenchOptions | "help" {
	let values: Record<"loads" | "rounds" | "ours" | "peer" | "json", string | undefined> & {
		cold: boolean;
		help: boolean;
	};
	try {
		const parsed = parseArgs({
			args: [...argv],
			options: {
				loads: { type: "string" },
				rounds: { type: "string" },
				ours: { type: "string" },
				peer: { type: "string" },
				cold: { type: "boolean", default: false },
				json: { type: "string" },
				help: { type: "boolean", short: "h", default: false },
			},
		}).values;
		const { loads, rounds, peer, cold, json, help } = parsed;
		values = { loads, rounds, ours: parsed.ours, peer, cold, json, help };
	} catch (error) {
		throw new BenchUsageError(error instanceof Error ? error.message : String(error));
	}
	if (values.help) return "help";
	return {
		loads: chooseLoads(values.loads, all),
		rounds: parseRounds(values.rounds),
		ours: values.ours ?? ours,
		peer: values.peer,
		cold: values.cold,
		json: values.json,
	};
}
