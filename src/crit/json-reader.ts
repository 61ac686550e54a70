// SPDX-License-Identifier: GPL-2.0-only
// JSON read value by value from a stream, so that lists of millions and strings of gigabytes need no memory. Whole
// numbers keep all their digits.

import { CriuError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";

export type JsonValue = string | number | bigint | boolean | null | JsonValue[] | Map<string, JsonValue>;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MAX_DEPTH = 110;
/** Most bytes of one string or values of one list that are held at once; images have smaller ones. */
const MAX_STRING = 128 * 1024 * 1024;
const MAX_ITEMS = 4 * 1024 * 1024;
const ESCAPES: Readonly<Record<string, string>> = {
	'"': '"',
	"\\": "\\",
	"/": "/",
	b: "\b",
	f: "\f",
	n: "\n",
	r: "\r",
	t: "\t",
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isSpace(byte: number): boolean {
	return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

export class JsonReader {
	#items = 0;

	constructor(private readonly source: ByteSource) {}

	/** @throws CriuError NO_JSON, always */
	fail(why: string): never {
		throw new CriuError("NO_JSON", `Cannot read JSON: ${this.source.name}, byte ${this.source.offset}: ${why}`, {
			remedy: "encode takes the JSON that decode writes; images are for decode",
		});
	}

	/** The next byte that is no white space, without taking it; -1 at the end. */
	peek(): number {
		for (;;) {
			const window = this.source.peekWindow();
			if (window.length === 0) return -1;
			let at = 0;
			while (at < window.length && isSpace(window[at] as number)) at++;
			if (at > 0) this.source.advance(at);
			if (at < window.length) return window[at] as number;
		}
	}

	/** True when the next character is this one, which is taken then. */
	accept(character: string): boolean {
		if (this.peek() !== character.charCodeAt(0)) return false;
		this.source.advance(1);
		return true;
	}

	expect(character: string): void {
		const found = this.peek();
		if (this.accept(character)) return;
		this.fail(`${found < 0 ? "it ends" : describeByte(found)} where ${character} is wanted`);
	}

	/** The keys of an object; whoever gets one reads its value. */
	*keys(): Generator<string, void, undefined> {
		this.expect("{");
		if (this.accept("}")) return;
		do {
			const key = this.string();
			this.expect(":");
			yield key;
		} while (this.accept(","));
		this.expect("}");
	}

	/** One turn for each value of a list; each turn reads its value. */
	*items(): Generator<void, void, undefined> {
		this.expect("[");
		if (this.accept("]")) return;
		do yield;
		while (this.accept(","));
		this.expect("]");
	}

	/** Forgets how many values were read; to be called where those before are not held any more. */
	startEntry(): void {
		this.#items = 0;
	}

	/** Any value. */
	value(depth = 0): JsonValue {
		if (depth > MAX_DEPTH) this.fail(`values nested deeper than ${MAX_DEPTH}`);
		if (++this.#items > MAX_ITEMS) this.fail(`more than ${MAX_ITEMS} values in one entry`);
		const first = this.peek();
		if (first === QUOTE) return this.string();
		if (first === 0x7b) {
			const map = new Map<string, JsonValue>();
			for (const key of this.keys()) map.set(key, this.value(depth + 1));
			return map;
		}
		if (first === 0x5b) {
			const list: JsonValue[] = [];
			for (const _ of this.items()) list.push(this.value(depth + 1));
			return list;
		}
		return this.#word(first);
	}

	/** Steps over any value. */
	skipValue(depth = 0): void {
		if (depth > MAX_DEPTH) this.fail(`values nested deeper than ${MAX_DEPTH}`);
		const first = this.peek();
		if (first === QUOTE) for (const _ of this.stringPieces());
		else if (first === 0x7b) for (const _ of this.keys()) this.skipValue(depth + 1);
		else if (first === 0x5b) for (const _ of this.items()) this.skipValue(depth + 1);
		else this.#word(first);
	}

	/** A number, true, false or null. */
	#word(first: number): JsonValue {
		let word = "";
		for (;;) {
			const window = this.source.peekWindow();
			let at = 0;
			while (at < window.length && isWordByte(window[at] as number)) at++;
			word += Buffer.from(window.buffer, window.byteOffset, at).toString("latin1");
			this.source.advance(at);
			if (at < window.length || window.length === 0) break;
			if (word.length > 400) break;
		}
		if (word === "true") return true;
		if (word === "false") return false;
		if (word === "null") return null;
		if (/^-?(?:0|[1-9][0-9]*)$/.test(word)) {
			const number = Number(word);
			return Number.isSafeInteger(number) ? number : word.length > 40 ? this.fail("a number too large") : BigInt(word);
		}
		if (/^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/.test(word)) return Number(word);
		if (word === "")
			this.fail(first < 0 ? "it ends where a value is wanted" : `${describeByte(first)} begins no value`);
		return this.fail(`${JSON.stringify(word.slice(0, 40))} is no value`);
	}

	string(): string {
		let text = "";
		for (const piece of this.stringPieces()) {
			text += piece;
			if (text.length > MAX_STRING) this.fail(`a string longer than ${MAX_STRING} bytes`);
		}
		return text;
	}

	/** A string in pieces of any length. */
	*stringPieces(): Generator<string, void, undefined> {
		this.expect('"');
		for (;;) {
			const window = this.source.peekWindow();
			if (window.length === 0) this.fail("it ends inside of a string");
			let at = 0;
			let high = 0;
			while (at < window.length) {
				const byte = window[at] as number;
				if (byte === QUOTE || byte === BACKSLASH) break;
				if (byte < 0x20) this.fail("a control character inside of a string");
				high |= byte;
				at++;
			}
			if (at > 0) {
				const plain = Buffer.from(window.buffer, window.byteOffset, at);
				const text = high < 0x80 ? plain.toString("latin1") : this.#utf8Piece(window, at);
				if (high < 0x80) this.source.advance(at);
				yield text;
				continue;
			}
			this.source.advance(1);
			if (window[0] === QUOTE) return;
			yield this.#escape();
		}
	}

	/** Text of the window's first `length` bytes, as far as its last character is whole. */
	#utf8Piece(window: Uint8Array, length: number): string {
		let end = length;
		if (length === window.length) {
			// The window may cut a character: its first byte is at most three bytes back.
			let back = length - 1;
			while (back > 0 && length - back < 4 && ((window[back] as number) & 0xc0) === 0x80) back--;
			const first = window[back] as number;
			const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
			if (back + size > length) end = back;
		}
		try {
			// A character across the window's end: take brings it together.
			const bytes =
				end > 0 ? window.subarray(0, end) : this.source.take(characterSize(window[0] as number), "a character");
			const text = utf8.decode(bytes);
			if (end > 0) this.source.advance(end);
			return text;
		} catch {
			return this.fail("text that is not UTF-8");
		}
	}

	#escape(): string {
		const letter = String.fromCharCode(this.source.take(1, "a string")[0] as number);
		if (letter !== "u") return ESCAPES[letter] ?? this.fail(`unknown escape \\${letter}`);
		const digits = Buffer.from(this.source.take(4, "a string")).toString("latin1");
		if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail("\\u without four hexadecimal digits");
		return String.fromCharCode(Number.parseInt(digits, 16));
	}
}

function characterSize(first: number): number {
	return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

function isWordByte(byte: number): boolean {
	return (
		(byte >= 0x30 && byte <= 0x39) ||
		(byte >= 0x61 && byte <= 0x7a) ||
		byte === 0x2d ||
		byte === 0x2b ||
		byte === 0x2e ||
		byte === 0x45
	);
}

function describeByte(byte: number): string {
	return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `byte 0x${byte.toString(16).padStart(2, "0")}`;
}
