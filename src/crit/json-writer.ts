// SPDX-License-Identifier: GPL-2.0-only
// JSON as Python's json module writes it: ASCII only; on one line with ", " and ": ", or in lines indented by four.

import type { ByteSink } from "./byte-sink.ts";

const SHORT: Readonly<Record<string, string>> = {
	'"': '\\"',
	"\\": "\\\\",
	"\n": "\\n",
	"\r": "\\r",
	"\t": "\\t",
	"\f": "\\f",
	"\b": "\\b",
};

/** The text as a JSON string, with its quotes. */
export function quote(text: string): string {
	const escaped = text.replace(
		/["\\]|[^ -~]/g,
		(c) => SHORT[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
	);
	return `"${escaped}"`;
}

/** Writes one JSON value; lists and objects are opened and closed by hand, so that nothing large has to be held. */
export class JsonWriter {
	#depth = 0;
	#isFirst = true;
	#afterKey = false;

	constructor(
		private readonly sink: ByteSink,
		private readonly pretty: boolean,
	) {}

	/** What stands before a value or a key. */
	#separate(): void {
		if (this.#afterKey) {
			this.#afterKey = false;
			return;
		}
		if (this.#depth === 0) return;
		if (this.pretty) this.sink.text(`${this.#isFirst ? "" : ","}\n${"    ".repeat(this.#depth)}`);
		else if (!this.#isFirst) this.sink.text(", ");
		this.#isFirst = false;
	}

	open(bracket: "[" | "{"): void {
		this.#separate();
		this.sink.text(bracket);
		this.#depth++;
		this.#isFirst = true;
	}

	close(bracket: "]" | "}"): void {
		this.#depth--;
		if (this.pretty && !this.#isFirst) this.sink.text(`\n${"    ".repeat(this.#depth)}`);
		this.sink.text(bracket);
		this.#isFirst = false;
	}

	key(name: string): void {
		this.#separate();
		this.sink.text(`${quote(name)}: `);
		this.#afterKey = true;
	}

	/** A number, `true` or `false`: as it is. */
	raw(text: string): void {
		this.#separate();
		this.sink.text(text);
	}

	string(text: string): void {
		this.raw(quote(text));
	}

	/** A string in pieces, which must be fit for a JSON string as they are. */
	stringOf(pieces: Iterable<string>): void {
		this.raw('"');
		for (const piece of pieces) this.sink.text(piece);
		this.sink.text('"');
	}
}
