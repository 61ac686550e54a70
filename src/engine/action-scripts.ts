// SPDX-License-Identifier: GPL-2.0-only
// --action-script: programs that are run at each hook and may stop the run by their exit code.

import { messageOf } from "../errors.ts";
import { log, logDescriptor } from "../log.ts";
import { findProgram, launch } from "../sys/launch.ts";
import { P_PID, WEXITED, waitId } from "../sys/process.ts";
import { HookError, type HookFacts, type HookName } from "./control.ts";

/** Hooks that exist for requests only. */
const REQUESTS_ONLY: readonly HookName[] = ["query-ext-files", "orphan-pts-master"];

/** The words in which a script's end is told; undefined for a good one. */
function describeEnd(pid: number): string | undefined {
	const report = waitId(P_PID, pid, WEXITED);
	if (report === undefined || (report.kind === "exited" && report.status === 0)) return undefined;
	return report.kind === "exited" ? `ended with exit code ${report.status}` : `was killed by signal ${report.status}`;
}

function runScript(script: string, name: HookName, { rootPid, imagesFd }: HookFacts): void {
	const env = {
		...process.env,
		CRTOOLS_SCRIPT_ACTION: name,
		CRTOOLS_IMAGE_DIR: imagesFd === undefined ? undefined : `/proc/${process.pid}/fd/${imagesFd}`,
		CRTOOLS_INIT_PID: rootPid === undefined ? undefined : String(rootPid),
	};
	let end: string | undefined;
	try {
		const output = logDescriptor();
		const path = findProgram(script, process.env);
		end = describeEnd(launch({ path, argv: [script], env, fds: [undefined, output, output] }));
	} catch (error) {
		throw new HookError(name, `the action script ${script} can't be run at ${name}: ${messageOf(error)}`, {
			cause: error,
			remedy: "check the path given with --action-script, and that the file may be executed",
		});
	}
	if (end === undefined) return;
	throw new HookError(name, `the action script ${script} ${end} at ${name}`, {
		remedy: "see what it says in the log; exit code 0 lets the run go on",
	});
}

/** Runs the scripts of a hook, the last given first, up to the first that fails. @throws HookError */
export function runActionScripts(scripts: readonly string[], name: HookName, facts: HookFacts): void {
	if (scripts.length === 0 || REQUESTS_ONLY.includes(name)) return;
	log.debug(() => `Running ${name} scripts`);
	for (const script of [...scripts].reverse()) runScript(script, name, facts);
}
