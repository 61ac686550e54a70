// SPDX-License-Identifier: GPL-2.0-only
// Keeps the part of README.md true that comes from the option table: which of CRIU's commands and options this version
// refuses. The build runs it; `bun scripts/gen-readme.ts` does it alone.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commandTable } from "../src/cli/commands.ts";
import { optionTable } from "../src/cli/option-table.ts";
import { writeAtomically } from "./build/stage.ts";

const START = "<!-- made from the option table by scripts/gen-readme.ts -->";
const END = "<!-- end of what is made -->";

function commandNames(letters: string): string {
	if (letters === "*") return "all";
	return commandTable
		.filter(({ letter, removed }) => removed === undefined && letters.includes(letter))
		.map(({ name }) => name)
		.join(", ");
}

/** The lines between the marks. */
export function writeRefusals(): string {
	const commands = commandTable.filter(({ load, removed }) => load === undefined && removed === undefined);
	const options = optionTable.filter(({ since }) => since === "later");
	const rows = [
		...commands.map(({ name, help }) => `| \`criu ${name}\` | | ${help} |`),
		...options.map(
			({ name, commands: letters, help, accepts }) =>
				`| \`--${name}\`${accepts === undefined ? "" : " (partly)"} | ${commandNames(letters)} | ${help.replaceAll("|", "\\|")} |`,
		),
	];
	if (rows.length === 0) return "All of CRIU's commands and options are there.\n";
	return `| not in this version | of | for |\n| --- | --- | --- |\n${rows.join("\n")}\n`;
}

/** The text with the part between the marks made anew. @throws when the marks are missing */
export function updateReadme(text: string): string {
	const [start, end] = [text.indexOf(START), text.indexOf(END)];
	if (start < 0 || end < start) throw new Error("README.md has lost the marks around the table of options");
	return `${text.slice(0, start)}${START}\n\n${writeRefusals()}\n${text.slice(end)}`;
}

/** Writes README.md when it isn't as the table says. */
export function refreshReadme(file: string): void {
	const text = readFileSync(file, "utf8");
	const fresh = updateReadme(text);
	if (fresh !== text) writeAtomically(file, fresh);
}

if (import.meta.main) refreshReadme(join(import.meta.dir, "../README.md"));
