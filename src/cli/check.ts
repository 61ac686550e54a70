// SPDX-License-Identifier: GPL-2.0-only
// `criu check`: what this kernel can do; with --pid what would stop a dump of one tree.

import { checkHost } from "../engine/check.ts";
import type { CheckEngine } from "../engine/types.ts";
import { isLogOnStderr, log } from "../log.ts";
import type { CommandContext } from "./command-context.ts";
import { printPreflight } from "./preflight.ts";
import { describeError } from "./report.ts";

/** Checks; the exit code, 0 when all is well. */
export async function runCheck(context: CommandContext): Promise<number> {
	const { checkPid } = context.options;
	if (checkPid === undefined) return checkWith({ checkHost }, context);
	const { preflight } = await import("../engine/dump.ts");
	return printPreflight(preflight, checkPid, context);
}

export function checkWith({ checkHost }: CheckEngine, { options, print, printError }: CommandContext): number {
	const result = checkHost(options.feature, { extra: options.checkExtra, experimental: options.checkExperimental });
	for (const problem of result.problems) {
		printError(`${describeError(problem).join("\n")}\n`);
		if (!isLogOnStderr()) log.error(problem.message, problem);
	}
	for (const line of result.lines) print(`${line}\n`);
	if (!result.ok && options.feature === undefined && result.lines.length === 0) log.warn("Does not look good.");
	return result.ok ? 0 : 1;
}
