// SPDX-License-Identifier: GPL-2.0-only
// Starts this very command anew when threads of ours have numbers that a restore needs. The process stays the same one.
// Source: pid_namespaces(7) ns_last_pid, execve(2).

import { writeFileSync } from "node:fs";
import type { InTheWay } from "../engine/own-threads.ts";
import { log } from "../log.ts";
import { become } from "../sys/launch.ts";
import { ownCommand } from "../sys/own-command.ts";

/** Tells that it was tried. */
const MARK = "CRIU_STARTED_ANEW";

/** Doesn't return when it could be done: threads then get numbers above those of the tree. `startDir`: where we were started. */
export function startAnew({ tids, highest }: InTheWay, startDir: string): void {
	const { [MARK]: tried, ...env } = process.env;
	delete process.env[MARK];
	if (tids.length === 0 || tried !== undefined) return;
	const workDir = process.cwd();
	try {
		// Refused without rights over the pid namespace, and where the number is too high.
		writeFileSync("/proc/sys/kernel/ns_last_pid", `${highest}`);
		const { path, argv } = ownCommand(process.argv.slice(2));
		process.chdir(startDir);
		become(path, argv, { ...env, [MARK]: "1" });
	} catch (error) {
		process.chdir(workDir);
		log.warn(`threads of criu have the numbers ${tids.join(", ")}, and can't get others: ${error}`);
	}
}
