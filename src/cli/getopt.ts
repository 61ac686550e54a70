// SPDX-License-Identifier: GPL-2.0-only
// Reading of a command line by the rules of getopt_long(3) with permutation: options may stand anywhere, long names may
// be abbreviated, optional arguments are attached only, `--` ends options. Pure: words in, items out; mistakes are items
// too, so that `--help` after a mistake is still seen and the first mistake is the one that is told.

export type ArgumentRule = "none" | "required" | "optional";

/** One spelling of an option. Several spellings (`x` and `no-x`) may share a `target`. */
export interface OptionSpelling<T> {
	name: string;
	short?: string | undefined;
	arg: ArgumentRule;
	/** Our own additions: an abbreviation means them only when it fits none of the others. */
	weak?: boolean | undefined;
	target: T;
}

export type GetoptItem<T> =
	| { kind: "option"; target: T; name: string; value: string | undefined }
	| { kind: "word"; word: string }
	| { kind: "mistake"; text: string };

/**
 * The items of `words` in their order. Texts of mistakes follow getopt's form, without the program's name.
 * Source: getopt_long(3).
 */
export function scanOptions<T>(words: readonly string[], spellings: readonly OptionSpelling<T>[]): GetoptItem<T>[] {
	const scan = new Scan(words, spellings);
	while (scan.at < words.length) scan.takeWord();
	return scan.items;
}

class Scan<T> {
	readonly items: GetoptItem<T>[] = [];
	at = 0;
	readonly #words: readonly string[];
	readonly #spellings: readonly OptionSpelling<T>[];

	constructor(words: readonly string[], spellings: readonly OptionSpelling<T>[]) {
		this.#words = words;
		this.#spellings = spellings;
	}

	takeWord(): void {
		const word = this.#words[this.at++] ?? "";
		if (word === "--") {
			for (const rest of this.#words.slice(this.at)) this.items.push({ kind: "word", word: rest });
			this.at = this.#words.length;
		} else if (word.startsWith("--")) this.#takeLong(word.slice(2));
		else if (word.startsWith("-") && word.length > 1) this.#takeShorts(word.slice(1));
		else this.items.push({ kind: "word", word });
	}

	#takeLong(body: string): void {
		const equals = body.indexOf("=");
		const typed = equals < 0 ? body : body.slice(0, equals);
		const attached = equals < 0 ? undefined : body.slice(equals + 1);
		const found = this.#findLong(typed);
		if (found === undefined) return;
		if (attached !== undefined && found.arg === "none") {
			this.#mistake(`option '--${found.name}' doesn't allow an argument`);
		} else if (attached === undefined && found.arg === "required") {
			if (this.at >= this.#words.length) this.#mistake(`option '--${found.name}' requires an argument`);
			else this.#option(found, `--${found.name}`, this.#words[this.at++]);
		} else this.#option(found, `--${found.name}`, attached);
	}

	/** The spelling meant by `typed`: itself, or the only one it abbreviates; undefined after noting a mistake. */
	#findLong(typed: string): OptionSpelling<T> | undefined {
		const exact = this.#spellings.find((s) => s.name === typed);
		if (exact !== undefined) return exact;
		const fitting = this.#spellings.filter((s) => s.name.startsWith(typed));
		const strong = fitting.filter((s) => s.weak !== true);
		const candidates = strong.length > 0 ? strong : fitting;
		if (candidates.length === 1) return candidates[0];
		if (candidates.length === 0) this.#mistake(`unrecognized option '--${typed}'`);
		else {
			const possible = candidates.map((s) => ` '--${s.name}'`).join("");
			this.#mistake(`option '--${typed}' is ambiguous; possibilities:${possible}`);
		}
		return undefined;
	}

	/** A cluster of short options: `-Rj`, `-t5`, `-v4`. */
	#takeShorts(cluster: string): void {
		const letters = [...cluster];
		for (let i = 0; i < letters.length; i++) {
			const letter = letters[i] ?? "";
			const found = this.#spellings.find((s) => s.short === letter);
			if (found === undefined) {
				this.#mistake(`invalid option -- '${letter}'`);
				continue;
			}
			if (found.arg === "none") {
				this.#option(found, `-${letter}`, undefined);
				continue;
			}
			const rest = letters.slice(i + 1).join("");
			if (rest !== "") this.#option(found, `-${letter}`, rest);
			else if (found.arg === "optional") this.#option(found, `-${letter}`, undefined);
			else if (this.at < this.#words.length) this.#option(found, `-${letter}`, this.#words[this.at++]);
			else this.#mistake(`option requires an argument -- '${letter}'`);
			return;
		}
	}

	#option(found: OptionSpelling<T>, name: string, value: string | undefined): void {
		this.items.push({ kind: "option", target: found.target, name, value });
	}

	#mistake(text: string): void {
		this.items.push({ kind: "mistake", text });
	}
}
