// SPDX-License-Identifier: GPL-2.0-only
// `criu pre-dump`: memory is written ahead of a dump.

import type { PreDumpEngine } from "../engine/types.ts";
import { UsageError } from "../errors.ts";
import { log } from "../log.ts";
import type { CommandContext } from "./command-context.ts";
import { commandControl } from "./control.ts";
import { describeDumpStats } from "./report.ts";

/** Pre-dumps; the exit code. */
export async function runPreDump(context: CommandContext): Promise<number> {
	const { resolveServer } = await import("../engine/page-server.ts");
	const options = await resolveServer(context.options);
	return preDumpWith(await import("../engine/pre-dump.ts"), { ...context, options });
}

export function preDumpWith({ preDump }: PreDumpEngine, { options, print }: CommandContext): number {
	if (options.pid === undefined) {
		throw new UsageError("NO_PID", "pid not specified", { remedy: "name the process: criu pre-dump -t PID" });
	}
	// Of the hooks only pre-stream concerns it: nothing of the tree changes.
	const { stats } = preDump(options, commandControl(options.stream ? options : { ...options, actionScripts: [] }));
	log.info("Pre-dumping finished successfully");
	if (options.displayStats && stats !== undefined) print(`${describeDumpStats(stats).join("\n")}\n`);
	return 0;
}
