// SPDX-License-Identifier: GPL-2.0-only
// `criu dump`: one dump, or with --dry-run the list of what would stop it.

import * as engine from "../engine/dump.ts";
import type { DumpEngine } from "../engine/types.ts";
import { UsageError } from "../errors.ts";
import { log } from "../log.ts";
import type { CommandContext } from "./commands.ts";
import { describeBlockers, describeDumpStats } from "./report.ts";

/** Dumps; the exit code. */
export function runDump(context: CommandContext): number {
	return dumpWith(engine, context);
}

export function dumpWith({ dump, preflight }: DumpEngine, { options, print }: CommandContext): number {
	if (options.pid === undefined) {
		throw new UsageError("NO_PID", "pid not specified", { remedy: "name the process to dump: criu dump -t PID" });
	}
	if (options.dryRun) return printPreflight(preflight, options.pid, { options, print });
	const result = dump(options);
	log.info("Dumping finished successfully");
	if (options.displayStats && result.stats !== undefined) {
		print(`${describeDumpStats(result.stats).join("\n")}\n`);
	}
	return 0;
}

/** Looks at the process and prints the verdict; 0 when nothing stops a dump. */
export function printPreflight(
	preflight: DumpEngine["preflight"],
	pid: number,
	{ options, print }: CommandContext,
): number {
	const blockers = preflight(pid, { ...options, pid });
	if (blockers.length === 0) {
		print(`pid ${pid}: nothing stops a dump.\n`);
		return 0;
	}
	const count = blockers.length === 1 ? "1 thing stops" : `${blockers.length} things stop`;
	print(`pid ${pid}: ${count} a dump:\n${describeBlockers(blockers).join("\n")}\n`);
	return 1;
}
