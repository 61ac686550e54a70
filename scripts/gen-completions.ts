// SPDX-License-Identifier: GPL-2.0-only
// Writes what bash, zsh and fish need to complete criu's command line, from the tables that the program works by:
// `bun scripts/gen-completions.ts [FOLDER]`. The build puts them into dist/completions.

import { join } from "node:path";
import { commandTable } from "../src/cli/commands.ts";
import type { OptionSpec } from "../src/cli/option-spec.ts";
import { optionTable } from "../src/cli/option-table.ts";
import { features } from "../src/engine/features.ts";
import { writeAtomically } from "./build/stage.ts";
import { bashCritCompletion, fishCritCompletion, zshCritCompletion } from "./gen-crit-completions.ts";

/** What a shell offers for an option's value. */
type Values = { kind: "words"; words: readonly string[] } | { kind: "file" | "folder" | "pid" | "any" };

const commands = commandTable.filter((command) => command.removed === undefined);

function valuesOf(spec: OptionSpec): Values {
	if (spec.choices !== undefined) return { kind: "words", words: spec.choices };
	if (spec.name === "feature") return { kind: "words", words: features.map((feature) => feature.name) };
	if (spec.metavar === "PID") return { kind: "pid" };
	if (spec.metavar === "DIR") return { kind: "folder" };
	return { kind: spec.metavar === "FILE" || spec.metavar === "PATH" ? "file" : "any" };
}

/** Names of the commands that an option is for; undefined when it's for all. */
function commandsOf(spec: OptionSpec): string[] | undefined {
	if (spec.commands === "*") return undefined;
	return commands.filter((command) => spec.commands.includes(command.letter)).map((command) => command.name);
}

function spellings(spec: OptionSpec): string[] {
	return [`--${spec.name}`, ...(spec.negatable === true ? [`--no-${spec.name}`] : [])];
}

const head = (comment: string) =>
	`${comment} SPDX-License-Identifier: GPL-2.0-only\n${comment} Made from criu's tables by scripts/gen-completions.ts.\n`;

/** For bash-completion's folder, or to be sourced. */
export function bashCompletion(): string {
	const common = optionTable.filter((spec) => spec.commands === "*").flatMap(spellings);
	const own = commands.map((command) => {
		const specs = optionTable.filter((spec) => spec.commands !== "*" && spec.commands.includes(command.letter));
		return `\t${command.name}) options="$common ${specs.flatMap(spellings).join(" ")}" ;;`;
	});
	const offers: Record<Exclude<Values["kind"], "words">, string> = {
		file: 'COMPREPLY=($(compgen -f -- "$current"))',
		folder: 'COMPREPLY=($(compgen -d -- "$current"))',
		pid: 'COMPREPLY=($(cd /proc && compgen -G "[0-9]*" | grep "^$current"))',
		any: "COMPREPLY=()",
	};
	const values = optionTable
		.filter((spec) => spec.arg !== "none")
		.map((spec) => {
			const offer = valuesOf(spec);
			const names = [
				`--${spec.name}`,
				...(spec.short === undefined || spec.arg === "optional" ? [] : [`-${spec.short}`]),
			];
			const action =
				offer.kind === "words"
					? `COMPREPLY=($(compgen -W "${offer.words.join(" ")}" -- "$current"))`
					: offers[offer.kind];
			return `\t${names.join("|")}) ${action}; return ;;`;
		});
	return `${head("#")}
_criu() {
	local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= word options
	local common="${common.join(" ")}"
	if [ "$previous" = "=" ]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
	if [ "$current" = "=" ]; then previous=\${COMP_WORDS[COMP_CWORD-1]}; current=; fi
	for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $word in
		${commands.map((command) => command.name).join("|")}) command=$word; break ;;
		esac
	done
	compopt -o filenames 2>/dev/null
	case $previous in
${values.join("\n")}
	esac
	compopt +o filenames 2>/dev/null
	case $command in
	"") options="$common"; [ "\${current#-}" = "$current" ] && options="${commands.map((command) => command.name).join(" ")}" ;;
${own.join("\n")}
	esac
	if [ "$command" = cpuinfo ] && [ "\${current#-}" = "$current" ]; then options="dump check"; fi
	COMPREPLY=($(compgen -W "$options" -- "$current"))
}
complete -F _criu criu
`;
}

const quoteZsh = (text: string) => text.replace(/[[\]:]/g, "\\$&").replaceAll("'", "'\\''");

/** For a folder of zsh's $fpath, as _criu. */
export function zshCompletion(): string {
	const actions: Record<Exclude<Values["kind"], "words">, string> = {
		file: "_files",
		folder: "_files -/",
		pid: "_pids",
		any: " ",
	};
	const argument = (spec: OptionSpec): string => {
		if (spec.arg === "none") return "";
		const offer = valuesOf(spec);
		const action = offer.kind === "words" ? `(${offer.words.join(" ")})` : actions[offer.kind];
		return `${spec.arg === "optional" ? "::" : ":"}${quoteZsh(spec.metavar ?? "value")}:${action}`;
	};
	const lines = optionTable.flatMap((spec) => {
		const text = `[${quoteZsh(spec.help)}]`;
		const star = spec.list === true ? "*" : "";
		const equals = spec.arg === "none" ? "" : spec.arg === "optional" ? "=-" : "=";
		const short = { none: "", optional: "-", required: "+" }[spec.arg];
		return [
			`'${star}--${spec.name}${equals}${text}${argument(spec)}'`,
			...(spec.negatable === true ? [`'--no-${spec.name}${text}'`] : []),
			...(spec.short === undefined ? [] : [`'${star}-${spec.short}${short}${text}${argument(spec)}'`]),
		];
	});
	const described = commands.map((command) => `'${command.name}:${quoteZsh(command.help)}'`);
	return `#compdef criu
${head("#")}
_criu_commands() {
	local -a commands
	commands=(
${described.map((line) => `\t\t${line}`).join("\n")}
	)
	_describe command commands
}

_arguments -s \\
${lines.map((line) => `\t${line} \\`).join("\n")}
	'1:command:_criu_commands' \\
	'2:action:(dump check)'
`;
}

const quoteFish = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** For fish's folder of completions, as criu.fish. */
export function fishCompletion(): string {
	const names = commands.map((command) => command.name).join(" ");
	const actions: Record<Exclude<Values["kind"], "words">, string> = {
		file: "-r -F",
		folder: "-x -a '(__fish_complete_directories)'",
		pid: "-x -a '(__fish_complete_pids)'",
		any: "-x",
	};
	const lines = optionTable.flatMap((spec) => {
		const only = commandsOf(spec);
		const condition = only === undefined ? "" : ` -n '__fish_seen_subcommand_from ${only.join(" ")}'`;
		const offer = valuesOf(spec);
		const value = offer.kind === "words" ? `-x -a ${quoteFish(offer.words.join(" "))}` : actions[offer.kind];
		const argument = spec.arg === "none" ? "" : spec.arg === "optional" && offer.kind !== "words" ? " -f" : ` ${value}`;
		const short = spec.short === undefined ? "" : ` -s ${spec.short}`;
		const text = ` -d ${quoteFish(spec.help)}`;
		return [
			`complete -c criu${condition} -l ${spec.name}${short}${argument}${text}`,
			...(spec.negatable === true ? [`complete -c criu${condition} -l no-${spec.name}${text}`] : []),
		];
	});
	const first = commands.map(
		(command) =>
			`complete -c criu -n 'not __fish_seen_subcommand_from ${names}' -a ${command.name} -d ${quoteFish(command.help)}`,
	);
	return `${head("#")}
complete -c criu -f
${first.join("\n")}
complete -c criu -n '__fish_seen_subcommand_from cpuinfo' -a 'dump check'
${lines.join("\n")}
`;
}

/** File name below dist/completions, and text. */
export function completions(): [name: string, text: string][] {
	return [
		["criu.bash", bashCompletion()],
		["_criu", zshCompletion()],
		["criu.fish", fishCompletion()],
		["crit.bash", bashCritCompletion()],
		["_crit", zshCritCompletion()],
		["crit.fish", fishCritCompletion()],
	];
}

export function writeCompletions(folder: string): void {
	for (const [name, text] of completions()) writeAtomically(join(folder, name), text);
}

if (import.meta.main) writeCompletions(Bun.argv[2] ?? join(import.meta.dir, "../dist/completions"));
