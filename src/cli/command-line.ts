// SPDX-License-Identifier: GPL-2.0-only
// From words, environment and configuration files to a command and its options, in CRIU's order of precedence.

import { UnsupportedError, UsageError } from "../errors.ts";
import { defaultOptions, type Options } from "../options.ts";
import { listConfigFiles, parseConfig, readConfigFile } from "./config-file.ts";
import { type GetoptItem, scanOptions } from "./getopt.ts";
import type { OptionSpec, OptionUse } from "./option-spec.ts";
import { type OptionTarget, optionSpellings } from "./option-table.ts";

/** A mistake that getopt finds: told with the program's name, followed by the usage text. */
export class GetoptError extends UsageError {}

/** An option as it was used, for checks that depend on the command. */
export interface SeenOption {
	spec: OptionSpec;
	use: OptionUse;
}

export interface CommandLine {
	/** What to do instead of a command. */
	answer: "help" | "version" | undefined;
	command: string | undefined;
	/** Words after the command. */
	words: string[];
	options: Options;
	seen: SeenOption[];
}

export type Environment = Readonly<Record<string, string | undefined>>;
type Item = GetoptItem<OptionTarget>;

/** Reads everything; throws UsageError for the first mistake, in the order configuration files, then command line. */
export function readCommandLine(args: readonly string[], env: Environment): CommandLine {
	const spellings = optionSpellings();
	const items = scanOptions(args, spellings);
	const words = items.flatMap((item) => (item.kind === "word" ? [item.word] : []));
	const line: CommandLine = {
		answer: undefined,
		command: words[0],
		words: words.slice(1),
		options: defaultOptions(),
		seen: [],
	};
	// As these very words, even beside mistakes; written in another way it has its turn like any option.
	if (args.includes("-h") || args.includes("--help")) return { ...line, answer: "help" };
	if (env["CRIU_DEPRECATED"] !== undefined) line.options.deprecated = true;
	for (const file of listConfigFiles(readConfigChoice(items), env)) {
		const text = readConfigFile(file);
		if (text !== undefined) applyItems(parseConfig(text, file, spellings), line, "config file");
		if (line.answer !== undefined) return line;
	}
	applyItems(items, line, "command line");
	if (line.options.execCmd !== undefined) line.options.execCmd = line.words.splice(0);
	return line;
}

/** Applies a file of options after all else, as requests may ask for. @throws UsageError CONFIG_FORMAT, BAD_OPTION, … */
export function applyConfigFile(file: string, line: CommandLine): void {
	const text = readConfigFile(file);
	if (text !== undefined) applyItems(parseConfig(text, file, optionSpellings()), line, "config file");
}

/** Where an option comes from, for messages. */
const PLACES: Readonly<Record<OptionUse["source"], string>> = {
	"command line": "",
	"config file": " (set by a configuration file)",
	request: " (asked for by the request)",
};

function isOption(item: Item, name: string): boolean {
	return item.kind === "option" && item.target.spec.name === name;
}

function readConfigChoice(items: readonly Item[]) {
	const named = items.findLast((item) => isOption(item, "config"));
	return {
		file: named?.kind === "option" ? named.value : undefined,
		noDefault: items.some((item) => isOption(item, "no-default-config")),
	};
}

/** Applies options in their order; stops at a request for help or version, throws at a mistake. */
function applyItems(items: readonly Item[], line: CommandLine, source: OptionUse["source"]): void {
	for (const item of items) {
		if (item.kind === "mistake") {
			throw new GetoptError("BAD_OPTION", item.text, { remedy: "see --help for the options" });
		}
		if (item.kind === "word") continue;
		const { spec, on } = item.target;
		if (spec.name === "help" || spec.name === "version") {
			line.answer = spec.name;
			return;
		}
		const use = { name: `--${spec.name}`, value: item.value, on, command: line.command, source };
		spec.apply(line.options, use);
		line.seen.push({ spec, use });
	}
}

/**
 * Throws for the first option that asks for something which this version lacks. `letter` is the command's letter of
 * the table: options that don't concern the command are let through, as CRIU does.
 */
export function refuseLaterOptions({ seen, options }: Pick<CommandLine, "seen" | "options">, letter: string): void {
	for (const { spec, use } of seen) {
		if (spec.isMoot?.(options, letter) === true) continue;
		if (spec.since !== "later" || !(spec.commands === "*" || spec.commands.includes(letter))) continue;
		const decisive = spec.list === true ? use : (seen.findLast((other) => other.spec === spec)?.use ?? use);
		if (!decisive.on || spec.accepts?.(decisive.value) === true) continue;
		const shown = decisive.value === undefined ? decisive.name : `${decisive.name}=${decisive.value}`;
		const place = PLACES[decisive.source];
		throw new UnsupportedError("OPTION_NOT_IN_VERSION", `this version of criu cannot do ${shown} yet${place}`, {
			remedy: `leave --${spec.name} out, or use a version that has it`,
		});
	}
}
