// SPDX-License-Identifier: GPL-2.0-only
// crit's command line: the rules of Python's argparse, which the original uses. Options may stand anywhere, long ones
// may be shortened as far as they stay clear, a mistake ends with exit code 2.

export interface CritOption {
	/** Long name without dashes. */
	readonly name: string;
	readonly short?: string;
	/** Word for the argument; absent for a switch. */
	readonly metavar?: string;
	readonly help: string;
	/** An addition of ours. */
	readonly ours?: true;
}

export interface CritWord {
	readonly name: string;
	readonly help: string;
	readonly choices?: readonly string[];
	/** One or more of them. */
	readonly many?: true;
}

export interface CritVerb {
	readonly name: string;
	readonly help: string;
	readonly options: readonly CritOption[];
	readonly words: readonly CritWord[];
}

export interface CritArguments {
	/** Of switches: the empty text. */
	readonly options: ReadonlyMap<string, string>;
	readonly words: readonly string[];
}

/** A mistake in how crit was called. */
export class CritUsage extends Error {}

const HELP: CritOption = { name: "help", short: "h", help: "show this text" };

function findOption(verb: CritVerb, name: string): CritOption {
	const all = [HELP, ...verb.options];
	const exact = all.find((option) => option.name === name);
	if (exact !== undefined) return exact;
	const possible = all.filter((option) => option.name.startsWith(name));
	const [only] = possible;
	if (only === undefined) throw new CritUsage(`unrecognized arguments: --${name}`);
	if (possible.length > 1) {
		throw new CritUsage(`ambiguous option: --${name} could match ${possible.map((o) => `--${o.name}`).join(", ")}`);
	}
	return only;
}

/** The options of one word such as `-i`, `-iFILE` or `--in=FILE`, with what it holds of an argument. */
function readOption(verb: CritVerb, word: string): { option: CritOption; value: string | undefined } {
	if (word.startsWith("--")) {
		const equals = word.indexOf("=");
		const option = findOption(verb, word.slice(2, equals < 0 ? undefined : equals));
		if (equals >= 0 && option.metavar === undefined) throw new CritUsage(`argument --${option.name}: takes no value`);
		return { option, value: equals < 0 ? undefined : word.slice(equals + 1) };
	}
	const option = [HELP, ...verb.options].find(({ short }) => short === word[1]);
	if (option === undefined) throw new CritUsage(`unrecognized arguments: ${word}`);
	if (word.length === 2) return { option, value: undefined };
	if (option.metavar === undefined) throw new CritUsage(`argument -${option.short}: takes no value`);
	return { option, value: word.slice(word[2] === "=" ? 3 : 2) };
}

function checkWords(verb: CritVerb, words: readonly string[]): void {
	for (const [at, { name, choices }] of verb.words.entries()) {
		const word = words[at];
		if (word === undefined) {
			const missing = verb.words.slice(at).map((each) => each.name);
			throw new CritUsage(`the following arguments are required: ${missing.join(", ")}`);
		}
		if (choices !== undefined && !choices.includes(word)) {
			throw new CritUsage(`argument ${name}: invalid choice: '${word}' (choose from ${choices.join(", ")})`);
		}
	}
	if (words.length > verb.words.length && verb.words.at(-1)?.many !== true) {
		throw new CritUsage(`unrecognized arguments: ${words.slice(verb.words.length).join(" ")}`);
	}
}

/** The arguments of a verb. @throws CritUsage */
export function readArguments(verb: CritVerb, args: readonly string[]): CritArguments {
	const options = new Map<string, string>();
	const words: string[] = [];
	for (let at = 0; at < args.length; at++) {
		const word = args[at] as string;
		if (word === "--") {
			words.push(...args.slice(at + 1));
			break;
		}
		if (!word.startsWith("-") || word === "-") {
			words.push(word);
			continue;
		}
		const { option, value } = readOption(verb, word);
		if (option.metavar === undefined) options.set(option.name, "");
		else {
			const argument = value ?? args[++at];
			if (argument === undefined) throw new CritUsage(`argument --${option.name}: expected one argument`);
			options.set(option.name, argument);
		}
		if (option === HELP) return { options, words };
	}
	checkWords(verb, words);
	return { options, words };
}

/** `crit VERB [-h] …`, in one line. */
export function usageOf(verb: CritVerb): string {
	const options = verb.options.map((option) => {
		const name = option.short === undefined ? `--${option.name}` : `-${option.short}`;
		return `[${name}${option.metavar === undefined ? "" : ` ${option.metavar}`}]`;
	});
	const words = verb.words.map(({ name, choices, many }) => {
		const word = choices === undefined ? name : `{${choices.join(",")}}`;
		return many === true ? `${word} [${word} ...]` : word;
	});
	return ["crit", verb.name, "[-h]", ...options, ...words].join(" ");
}

/** The help of a verb. */
export function helpOf(verb: CritVerb): string {
	const line = (head: string, text: string): string =>
		head.length < 21 ? `  ${head.padEnd(22)}${text}` : `  ${head}\n${" ".repeat(24)}${text}`;
	const words = verb.words.map(({ name, help }) => line(name, help));
	const options = [HELP, ...verb.options].map((option) => {
		const metavar = option.metavar === undefined ? "" : ` ${option.metavar}`;
		const short = option.short === undefined ? "" : `-${option.short}${metavar}, `;
		return line(`${short}--${option.name}${metavar}`, option.help);
	});
	return [
		`usage: ${usageOf(verb)}`,
		"",
		`${verb.help}.`,
		...(words.length === 0 ? [] : ["", "arguments:", ...words]),
		"",
		"options:",
		...options,
		"",
	].join("\n");
}
