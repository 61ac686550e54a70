// SPDX-License-Identifier: GPL-2.0-only
// What `dump --dry-run` and `check --pid` print: everything that would stop a dump of one tree.

import type { DumpEngine } from "../engine/types.ts";
import type { CommandContext } from "./command-context.ts";
import { describeBlockers } from "./report.ts";

/** Looks at the process and prints the verdict; 0 when nothing stops a dump. */
export function printPreflight(
	preflight: DumpEngine["preflight"],
	pid: number,
	{ options, print }: Pick<CommandContext, "options" | "print">,
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
