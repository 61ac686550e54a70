// SPDX-License-Identifier: GPL-2.0-only
// Writes the manual page from the tables of commands, options and features: `bun scripts/gen-man.ts [FILE]`.
// The build puts it beside the executable as dist/criu.8, so that page and program can't disagree.

import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { commandTable } from "../src/cli/commands.ts";
import type { OptionGroup, OptionSpec } from "../src/cli/option-spec.ts";
import { optionTable } from "../src/cli/option-table.ts";
import { features } from "../src/engine/features.ts";
import { writeAtomically } from "./build/stage.ts";

const SECTIONS: Readonly<Record<OptionGroup, string>> = {
	generic: "General options",
	behaviour: "Options of dump and restore",
	resources: "Resources outside of the tree",
	cgroups: "Cgroups",
	memory: "Memory and page server",
	check: "Options of check",
	inspect: "Options of inspect",
};

const DESCRIPTION = [
	"criu freezes a running program, writes its state to a directory of image files, and brings it back from them",
	"later, also after a reboot or on another machine. Images are compatible with those of CRIU 4.2.",
];

const SAFETY = [
	"A dump that fails, or is killed at any moment, leaves the program as it was. What can't be kept is refused before",
	"the program is touched; check --pid lists all such obstacles at once. A failed restore leaves no process behind.",
];

const REQUESTS: readonly (readonly string[])[] = [
	[
		"Other programs have criu work for them by requests: messages of protobuf over a unix socket of type SOCK_SEQPACKET, as libcriu,",
		"pycriu and go-criu send them. Either a program starts criu swrk FD with one end of a pair of sockets, or it",
		"connects to the socket of criu service (--address). Default configuration files hold for swrk; nothing of the",
		"service's own options holds for its clients.",
	],
	[
		"All types of requests are answered: dump, restore, pre-dump, check, page servers, CPU properties, features, version.",
		"A client that sets notify_scripts is asked at each step, and its refusal ends the run; so do its end, and SIGTERM to",
		"the worker. A failure is told by cr_errno and by cr_errmsg, which is the log's line with a stable code at its end.",
	],
	[
		"Anybody may connect to the service. Users other than root, and than the service's own, may have it dump only their own",
		"processes, with their own rights on files; restores and files of options are refused. rst_sibling, inherit_fd and ps.fd",
		"need a worker of one's own.",
	],
];

const FILES: readonly [string, string][] = [
	["/etc/criu/default.conf", "options for all runs, one per line, without dashes"],
	["$HOME/.criu/default.conf", "likewise, read after it"],
	["$CRIU_CONFIG_FILE", "likewise, read after both"],
];

/** Text as roff shows it literally: backslashes, hyphens that stay hyphens, no accidental control lines. */
export function escapeRoff(text: string): string {
	return text
		.replaceAll("\\", "\\e")
		.replaceAll("-", "\\-")
		.replace(/^(?=[.'])/gm, "\\&");
}

export function section(title: string, ...lines: string[]): string {
	return [`.SH ${escapeRoff(title.toUpperCase())}`, ...lines].join("\n");
}

export function paragraph(lines: readonly string[]): string {
	return lines.map(escapeRoff).join("\n");
}

export function item(head: string, text: string): string {
	return `.TP\n${head}\n${escapeRoff(text)}`;
}

export function bold(text: string): string {
	return `\\fB${escapeRoff(text)}\\fR`;
}

export function italic(text: string): string {
	return `\\fI${escapeRoff(text)}\\fR`;
}

function describeOption(spec: OptionSpec): string {
	const metavar = italic(spec.metavar ?? "");
	const argument = { none: "", required: ` ${metavar}`, optional: `[=${metavar}]` }[spec.arg];
	const names = [...(spec.short === undefined ? [] : [`-${spec.short}`]), `--${spec.name}`].map(bold);
	const notes = [
		spec.help.replace(/[^.]$/, "$&."),
		...(spec.negatable === true ? [`The opposite is --no-${spec.name}.`] : []),
		...(spec.list === true ? ["May be repeated."] : []),
		...(spec.since === "later" ? ["Not, or not wholly, in this version."] : []),
		...(spec.ours === true ? ["CRIU doesn't have it."] : []),
	];
	return item(`${names.join(", ")}${argument}`, notes.join(" "));
}

/** The whole page in roff (man(7) macros), ending with a newline. */
export function writeManualPage(): string {
	const commands = commandTable.filter((command) => command.removed === undefined);
	const groups = (Object.keys(SECTIONS) as OptionGroup[]).map((group) =>
		section(SECTIONS[group], ...optionTable.filter((spec) => spec.group === group).map(describeOption)),
	);
	const later = (help: string, isThere: boolean): string => (isThere ? `${help}.` : `${help}. Not in this version.`);
	const page = [
		`.\\" SPDX-License-Identifier: GPL-2.0-only\n.TH CRIU 8 "" "criu ${escapeRoff(manifest.version)}"`,
		section("Name", escapeRoff("criu - checkpoint and restore of Linux programs")),
		section("Synopsis", commands.map((command) => `${bold("criu")} ${escapeRoff(command.usage)}`).join("\n.br\n")),
		section("Description", paragraph(DESCRIPTION), ".PP", paragraph(SAFETY)),
		section("Commands", ...commands.map((c) => item(bold(c.name), later(c.help, c.load !== undefined)))),
		...groups,
		section("Features", ...features.map((feature) => item(bold(feature.name), `${feature.meaning}.`))),
		section("Requests of other programs", REQUESTS.map(paragraph).join("\n.PP\n")),
		section("Files", ...FILES.map(([name, text]) => item(italic(name), `${text}.`))),
		section("Exit status", item("0", "Done."), item("not 0", "Failed; standard error and the log say why.")),
		section("Copyright", escapeRoff("GNU General Public License, version 2 only.")),
	];
	return `${page.join("\n")}\n`;
}

if (import.meta.main) {
	writeAtomically(Bun.argv[2] ?? join(import.meta.dir, "../dist/criu.8"), writeManualPage());
}
