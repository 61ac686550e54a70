// SPDX-License-Identifier: GPL-2.0-only
// What every command module gets and gives.

import type { Options } from "../options.ts";
import type { CommandLine } from "./command-line.ts";

/** What a command gets: everything is decided, directories and log are open. */
export interface CommandContext {
	options: Options;
	/** Words after the command word. */
	words: readonly string[];
	/** Somebody reads along: a summary ends the run. */
	isTerminal?: boolean | undefined;
	/** The command line as it was read: words after the command, and which options were given. */
	line: CommandLine;
	/** As typed by the user, for messages. */
	program: string;
	/** Prints a text to stdout, as it is. */
	print(text: string): void;
	/** Prints a text to stderr, as it is. */
	printError(text: string): void;
}

/** Runs the command and gives the exit code; failures are thrown. */
export type RunCommand = (context: CommandContext) => number | Promise<number>;
