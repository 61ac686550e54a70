// SPDX-License-Identifier: GPL-2.0-only
// What bash, zsh and fish need to complete crit's command line, from the table that it works by.

import type { CritVerb } from "../src/crit/arguments.ts";
import { VERBS } from "../src/crit/verbs.ts";

const head = "# SPDX-License-Identifier: GPL-2.0-only\n# Made from crit's table by scripts/gen-crit-completions.ts.\n";
const verbs: readonly CritVerb[] = Object.values(VERBS);

/** Spellings of a verb's options. */
function spellings({ options }: CritVerb): string[] {
	return options.flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]);
}

/** Words of closed sets, such as the views of `crit x`. */
function choicesOf({ words }: CritVerb): string[] {
	return words.flatMap(({ choices }) => choices ?? []);
}

/** For bash-completion's folder, or to be sourced. */
export function bashCritCompletion(): string {
	const lines = verbs.map((verb) => `\t${verb.name}) words="${[...spellings(verb), ...choicesOf(verb)].join(" ")}" ;;`);
	return `${head}
_crit() {
	local current=\${COMP_WORDS[COMP_CWORD]} words=
	case \${COMP_WORDS[1]} in
${lines.join("\n")}
	esac
	if [ "$COMP_CWORD" = 1 ]; then
		COMPREPLY=($(compgen -W "${verbs.map(({ name }) => name).join(" ")}" -- "$current"))
		return
	fi
	compopt -o filenames 2>/dev/null
	COMPREPLY=($(compgen -W "$words" -- "$current"))
	if [ "\${current#-}" = "$current" ]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -F _crit crit
`;
}

const quoteZsh = (text: string) => text.replace(/[[\]:]/g, "\\$&").replaceAll("'", "'\\''");

/** For a folder of zsh's $fpath, as _crit. */
export function zshCritCompletion(): string {
	const named = verbs.map(({ name, help }) => `\t\t'${name}:${quoteZsh(help)}'`);
	const cases = verbs.map((verb) => {
		const options = verb.options.map(({ name, help, metavar }) => {
			const value = metavar === undefined ? "" : `:${metavar}:_files`;
			return `'--${name}${metavar === undefined ? "" : "="}[${quoteZsh(help)}]${value}'`;
		});
		const choices = choicesOf(verb);
		const words =
			choices.length === 0 ? ["'*:file:_files'"] : ["'2:folder:_files -/'", `'3:view:(${choices.join(" ")})'`];
		return `\t${verb.name}) _arguments '1: :' ${[...options, ...words].join(" ")} ;;`;
	});
	return `#compdef crit
${head}
local -a verbs
if (( CURRENT == 2 )); then
	verbs=(
${named.join("\n")}
	)
	_describe verb verbs
	return
fi
case $words[2] in
${cases.join("\n")}
esac
`;
}

const quoteFish = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** For fish's folder of completions, as crit.fish. */
export function fishCritCompletion(): string {
	const names = verbs.map(({ name }) => name).join(" ");
	const lines = verbs.flatMap((verb) => {
		const when = `complete -c crit -n '__fish_seen_subcommand_from ${verb.name}'`;
		return [
			`complete -c crit -n 'not __fish_seen_subcommand_from ${names}' -f -a ${verb.name} -d ${quoteFish(verb.help)}`,
			...verb.options.map(({ name, short, metavar, help }) => {
				const letter = short === undefined ? "" : ` -s ${short}`;
				return `${when} -l ${name}${letter}${metavar === undefined ? "" : " -r -F"} -d ${quoteFish(help)}`;
			}),
			...(choicesOf(verb).length === 0 ? [] : [`${when} -a ${quoteFish(choicesOf(verb).join(" "))}`]),
		];
	});
	return `${head}\n${lines.join("\n")}\n`;
}
