// SPDX-License-Identifier: GPL-2.0-only
// `criu dump`: one dump, or with --dry-run the list of what would stop it.

import type { DumpEngine } from "../engine/types.ts";
import { UsageError } from "../errors.ts";
import { log } from "../log.ts";
import type { CommandContext } from "./command-context.ts";
import { commandControl } from "./control.ts";
import { printPreflight } from "./preflight.ts";
import { describeDumpStats } from "./report.ts";
import { describeSummary, findImages } from "./summary.ts";

/** Dumps; the exit code. */
export async function runDump(context: CommandContext): Promise<number> {
	if (!context.options.pageServer) return dumpWith(await import("../engine/dump.ts"), context);
	const { resolveServer } = await import("../engine/page-server.ts");
	const options = await resolveServer(context.options);
	return dumpWith(await import("../engine/dump.ts"), { ...context, options });
}

export function dumpWith({ dump, preflight }: DumpEngine, { options, print, isTerminal }: CommandContext): number {
	if (options.pid === undefined) {
		throw new UsageError("NO_PID", "pid not specified", { remedy: "name the process to dump: criu dump -t PID" });
	}
	if (options.dryRun) return printPreflight(preflight, options.pid, { options, print });
	const result = dump(options, commandControl(options));
	log.info("Dumping finished successfully");
	if (options.displayStats && result.stats !== undefined) {
		print(`${describeDumpStats(result.stats).join("\n")}\n`);
	}
	if (isTerminal === true) {
		const imagesDir = findImages(options);
		const [tookMs, frozenUs] = [performance.now(), result.stats?.frozenTime];
		print(describeSummary({ done: `Dumped pid ${result.pid}`, imagesDir, tookMs, frozenUs }));
	}
	return 0;
}
