// SPDX-License-Identifier: GPL-2.0-only
// The byte cursor that the parsers of /proc files share. Whatever the bytes are, it answers with a value or with a CriuError
// of code PROC_PARSE that names the file.

import { CriuError } from "../../errors.ts";

const NEWLINE = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const MINUS = 0x2d;
const U64_MAX = (1n << 64n) - 1n;
/** Up to this many digits fit into a number exactly. */
const SAFE_DECIMALS = 15;
const SAFE_HEX_DIGITS = 13;

const EMPTY = new Uint8Array(0);

/** The error for text of `file` that isn't what the kernel is known to write. */
export function procParseError(file: string, detail: string): CriuError {
	return new CriuError("PROC_PARSE", `cannot parse ${file}: ${detail}`, {
		remedy: "this kernel writes the file differently than expected: please report it with the kernel version",
	});
}

/** Value of a hex digit's byte, or -1. Upper case isn't taken: the kernel writes lower case, and smaps keys begin upper. */
function hexDigit(byte: number): number {
	if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
	if (byte >= 0x61 && byte <= 0x66) return byte - 0x57;
	return -1;
}

/** A position in the bytes of one /proc file. Numbers are read without making strings. */
export class ProcCursor {
	readonly bytes: Uint8Array;
	/** What error messages call the file. */
	readonly file: string;
	readonly end: number;
	pos: number;

	constructor(bytes: Uint8Array, file: string, pos = 0, end = bytes.length) {
		this.bytes = bytes;
		this.file = file;
		this.pos = pos;
		this.end = end;
	}

	fail(detail: string): never {
		throw procParseError(this.file, `${detail} at byte ${this.pos}`);
	}

	atEnd(): boolean {
		return this.pos >= this.end;
	}

	/** The byte at the position, -1 at the end. */
	peek(): number {
		return this.pos < this.end ? (this.bytes[this.pos] ?? -1) : -1;
	}

	/** Steps over one given character. */
	expect(char: string): void {
		if (this.peek() !== char.charCodeAt(0)) this.fail(`${JSON.stringify(char)} is missing`);
		this.pos++;
	}

	/** Steps over the character when it's there. */
	accept(char: string): boolean {
		if (this.peek() !== char.charCodeAt(0)) return false;
		this.pos++;
		return true;
	}

	/** True when the given ASCII text begins at the position. */
	startsWith(text: string): boolean {
		if (this.pos + text.length > this.end) return false;
		for (let i = 0; i < text.length; i++) if (this.bytes[this.pos + i] !== text.charCodeAt(i)) return false;
		return true;
	}

	/** Steps over the given ASCII text. */
	expectText(text: string): void {
		if (!this.startsWith(text)) this.fail(`${JSON.stringify(text)} is missing`);
		this.pos += text.length;
	}

	skipBlanks(): void {
		while (this.pos < this.end) {
			const byte = this.bytes[this.pos];
			if (byte !== SPACE && byte !== TAB) return;
			this.pos++;
		}
	}

	/** Index of a byte at or behind the position, -1 when it doesn't come before the cursor's end. */
	find(byte: number): number {
		for (let at = this.pos; at < this.end; at++) if (this.bytes[at] === byte) return at;
		return -1;
	}

	/** Index of the newline that ends the current line, or the end. */
	lineEnd(): number {
		const at = this.bytes.indexOf(NEWLINE, this.pos);
		return at < 0 || at > this.end ? this.end : at;
	}

	/** Steps behind the current line's newline. */
	skipLine(): void {
		this.pos = Math.min(this.lineEnd() + 1, this.end);
	}

	/** The rest of the line without its newline, as a view into the bytes; the position moves behind the newline. */
	restOfLine(): Uint8Array {
		const stop = this.lineEnd();
		const rest = stop > this.pos ? this.bytes.subarray(this.pos, stop) : EMPTY;
		this.pos = Math.min(stop + 1, this.end);
		return rest;
	}

	/** The bytes up to a blank or the line's end, as a view; the position moves there. */
	word(): Uint8Array {
		const start = this.pos;
		while (this.pos < this.end) {
			const byte = this.bytes[this.pos];
			if (byte === SPACE || byte === TAB || byte === NEWLINE) break;
			this.pos++;
		}
		return this.bytes.subarray(start, this.pos);
	}

	/** A non-negative decimal number below 2^53. */
	decimal(): number {
		const start = this.pos;
		let value = 0;
		while (this.pos < this.end) {
			const digit = (this.bytes[this.pos] ?? 0) - 0x30;
			if (digit < 0 || digit > 9) break;
			value = value * 10 + digit;
			this.pos++;
		}
		if (this.pos === start) this.fail("a number is missing");
		if (value > Number.MAX_SAFE_INTEGER) this.fail("a number is too large");
		return value;
	}

	/** A decimal number between -2^53 and 2^53. */
	integer(): number {
		return this.accept("-") ? -this.decimal() : this.decimal();
	}

	/** A decimal number up to 2^64 - 1. */
	decimalBig(): bigint {
		const start = this.pos;
		let value = 0;
		while (this.pos < this.end) {
			const digit = (this.bytes[this.pos] ?? 0) - 0x30;
			if (digit < 0 || digit > 9) break;
			value = value * 10 + digit;
			this.pos++;
		}
		const digits = this.pos - start;
		if (digits === 0) this.fail("a number is missing");
		if (digits <= SAFE_DECIMALS) return BigInt(value);
		if (digits > 20) this.fail("a number is too large");
		const exact = BigInt(asciiText(this.bytes.subarray(start, this.pos)));
		if (exact > U64_MAX) this.fail("a number is too large");
		return exact;
	}

	/** A decimal number between -2^64 and 2^64. */
	integerBig(): bigint {
		if (this.peek() !== MINUS) return this.decimalBig();
		this.pos++;
		return -this.decimalBig();
	}

	/** A lower-case hexadecimal number up to 2^64 - 1, without prefix. */
	hexBig(): bigint {
		const start = this.pos;
		let value = 0;
		let high = 0;
		while (this.pos < this.end) {
			const digit = hexDigit(this.bytes[this.pos] ?? 0);
			if (digit < 0) break;
			// What would leave the exact range moves into `high`, eight digits at most.
			if (this.pos - start >= SAFE_HEX_DIGITS) {
				high = high * 16 + Math.floor(value / 0x1000000000000);
				value %= 0x1000000000000;
			}
			value = value * 16 + digit;
			this.pos++;
		}
		const digits = this.pos - start;
		if (digits === 0) this.fail("a hexadecimal number is missing");
		if (digits <= SAFE_HEX_DIGITS) return BigInt(value);
		if (digits > 2 * SAFE_HEX_DIGITS) this.fail("a hexadecimal number is too large");
		const exact = (BigInt(high) << 52n) | BigInt(value);
		if (exact > U64_MAX) this.fail("a hexadecimal number is too large");
		return exact;
	}

	/** A lower-case hexadecimal number below 2^53, without prefix. */
	hex(): number {
		const value = this.hexBig();
		if (value > BigInt(Number.MAX_SAFE_INTEGER)) this.fail("a hexadecimal number is too large");
		return Number(value);
	}

	/** An octal number below 2^53. */
	octal(): number {
		const start = this.pos;
		let value = 0;
		while (this.pos < this.end) {
			const digit = (this.bytes[this.pos] ?? 0) - 0x30;
			if (digit < 0 || digit > 7) break;
			value = value * 8 + digit;
			this.pos++;
		}
		if (this.pos === start) this.fail("an octal number is missing");
		if (value > Number.MAX_SAFE_INTEGER) this.fail("an octal number is too large");
		return value;
	}
}

/** Bytes as a string, each byte one character (latin-1): for ASCII keys and for text that is shown, never for paths. */
export function asciiText(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** Calls `each` with a cursor over every line, its end set before the newline. */
export function forEachLine(bytes: Uint8Array, file: string, each: (line: ProcCursor) => void): void {
	let at = 0;
	while (at < bytes.length) {
		const found = bytes.indexOf(NEWLINE, at);
		const end = found < 0 ? bytes.length : found;
		each(new ProcCursor(bytes, file, at, end));
		at = end + 1;
	}
}

/** True when both arrays hold the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
	if (a.length !== b.length) return false;
	for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
	return true;
}

/**
 * Undoes the kernel's octal escapes (`\040` and the like, seq_escape and mangle_path), which stand for single bytes. A backslash
 * without three octal digits stays as it is. Gives a copy.
 */
export function unescapeOctal(bytes: Uint8Array): Uint8Array {
	const out = new Uint8Array(bytes.length);
	let length = 0;
	for (let i = 0; i < bytes.length; i++) {
		const byte = bytes[i] ?? 0;
		const value = byte === 0x5c ? octalTriple(bytes, i + 1) : -1;
		out[length++] = value < 0 ? byte : value;
		if (value >= 0) i += 3;
	}
	return out.slice(0, length);
}

function octalTriple(bytes: Uint8Array, at: number): number {
	let value = 0;
	for (let i = at; i < at + 3; i++) {
		const digit = (bytes[i] ?? 0) - 0x30;
		if (digit < 0 || digit > 7) return -1;
		value = value * 8 + digit;
	}
	return value > 0xff ? -1 : value;
}
