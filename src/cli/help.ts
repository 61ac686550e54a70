// SPDX-License-Identifier: GPL-2.0-only
// Usage and help texts, made from the tables of commands, options and features.

import { features } from "../engine/features.ts";
import { commandTable } from "./commands.ts";
import type { OptionGroup, OptionSpec } from "./option-spec.ts";
import { optionTable } from "./option-table.ts";

const GROUP_TITLES: Readonly<Record<OptionGroup, string>> = {
	generic: "For all commands",
	behaviour: "Dump and restore",
	resources: "Things outside of the tree",
	cgroups: "Cgroups",
	memory: "Memory and page server",
	check: "Check",
	inspect: "Inspect",
};
const WIDTH = 100;
const TEXT_COLUMN = 34;

/** The short text after a wrong command line, ending with a newline. */
export function usageText(): string {
	const lines = commandTable.filter((c) => c.removed === undefined).map((c) => `  criu ${c.usage}`);
	return `\nUsage:\n${lines.join("\n")}\n\nTry criu --help for the options.\n`;
}

/** The whole help. */
export function helpText(): string {
	const commands = commandTable
		.filter((command) => command.removed === undefined)
		.map((c) => entry(c.name, c.load === undefined ? `${c.help} (not in this version)` : c.help));
	const groups = (Object.keys(GROUP_TITLES) as OptionGroup[]).map((group) => {
		const entries = optionTable.filter((spec) => spec.group === group).map(describeOption);
		return `${GROUP_TITLES[group]}:\n${entries.join("\n")}\n`;
	});
	return [
		`${usageText().trim()}\n`,
		`Commands:\n${commands.join("\n")}\n`,
		...groups,
		"Options with (no-) have an opposite, --no-NAME.\n",
		"Configuration files: /etc/criu/default.conf, then $HOME/.criu/default.conf, then $CRIU_CONFIG_FILE,",
		"then --config FILE; one option per line, without dashes. The command line wins.\n",
		`Features for check --feature:\n${features.map((f) => entry(f.name, f.meaning)).join("\n")}\n`,
	].join("\n");
}

function describeOption(spec: OptionSpec): string {
	const argument = { none: "", required: ` ${spec.metavar}`, optional: `[=${spec.metavar}]` }[spec.arg];
	const short = spec.short === undefined ? "    " : `-${spec.short}, `;
	const notes = [
		spec.negatable === true ? "(no-)" : "",
		spec.list === true ? "(may be repeated)" : "",
		spec.since === "foundation"
			? ""
			: spec.accepts === undefined
				? "(not in this version)"
				: "(partly in this version)",
	].filter((note) => note !== "");
	return entry(`${short}--${spec.name}${argument}`, [spec.help, ...notes].join(" "));
}

/** A name with its text beside it, wrapped; below it where the name is long. */
function entry(name: string, text: string): string {
	const indent = " ".repeat(TEXT_COLUMN);
	const lines: string[] = [];
	let line = "";
	for (const word of text.split(" ")) {
		if (line !== "" && line.length + word.length + 1 > WIDTH - TEXT_COLUMN) {
			lines.push(line);
			line = word;
		} else line = line === "" ? word : `${line} ${word}`;
	}
	lines.push(line);
	const head = `  ${name}`;
	const body = lines.map((l) => `${indent}${l}`).join("\n");
	return head.length < TEXT_COLUMN - 1 ? `${head.padEnd(TEXT_COLUMN)}${body.slice(TEXT_COLUMN)}` : `${head}\n${body}`;
}
