// SPDX-License-Identifier: GPL-2.0-only
// How to start ourselves once more.

/** Programs that a build has put into one file lie here, as the runtime shows it. */
const INSIDE = "/$bunfs/";

/** The executable that runs, and words that make it run criu with these arguments, also when it runs from source. */
export function ownCommand(args: readonly string[]): { path: string; argv: string[] } {
	const [, script = ""] = process.argv;
	const isBuilt = script.startsWith(INSIDE);
	return { path: "/proc/self/exe", argv: isBuilt ? ["criu", ...args] : ["bun", script, ...args] };
}
