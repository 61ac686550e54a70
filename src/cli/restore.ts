// SPDX-License-Identifier: GPL-2.0-only
// `criu restore`: one restore, after which criu stays as parent of the tree, as the program of --exec-cmd if
// one is given, unless detached; or with --dry-run its plan.

import type { InTheWay } from "../engine/own-threads.ts";
import type { RestoreEngine } from "../engine/types.ts";
import { log } from "../log.ts";
import { become, findProgram } from "../sys/launch.ts";
import type { CommandContext } from "./command-context.ts";
import { commandControl } from "./control.ts";
import { describeRestoreStats } from "./report.ts";
import { startAnew } from "./start-anew.ts";
import { describeSummary, findImages } from "./summary.ts";
import { startDirectory } from "./workspace.ts";

/** Restores; the exit code. The restored program's own exit status doesn't count. */
export async function runRestore(context: CommandContext): Promise<number> {
	return restoreWith(await import("../engine/restore.ts"), context);
}

export function restoreWith(
	{ restore, planRestore }: RestoreEngine,
	{ options, print, isTerminal }: CommandContext,
): number {
	if (options.pid !== undefined) log.warn("the -t option is not needed by restore and ignored");
	if (options.dryRun) {
		const plan = planRestore(options);
		print(plan.endsWith("\n") ? plan : `${plan}\n`);
		return 0;
	}
	// Found out while nothing has been made yet.
	const program = options.execCmd?.[0] === undefined ? undefined : findProgram(options.execCmd[0], process.env);
	const control = {
		...commandControl(options),
		clearTheWay: (inTheWay: InTheWay) => startAnew(inTheWay, startDirectory()),
	};
	const result = restore(options, control);
	control.end();
	log.info("Restore finished successfully. Tasks resumed.");
	if (result.outsidePid !== undefined) {
		print(`pid ${result.pid} of the images runs as pid ${result.outsidePid} here\n`);
	}
	if (options.displayStats && result.stats !== undefined) {
		print(`${describeRestoreStats(result.stats).join("\n")}\n`);
	}
	if (isTerminal === true) {
		const imagesDir = findImages(options);
		print(describeSummary({ done: `Restored pid ${result.pid}`, imagesDir, tookMs: performance.now() }));
	}
	if (program !== undefined) become(program, options.execCmd ?? [], process.env);
	if (!options.restoreDetached) result.wait();
	return 0;
}
