// SPDX-License-Identifier: GPL-2.0-only
// Bytes as text and back, in the forms of crit's JSON: names, base64, internet addresses.

/** Bytes of base64 in one line, which has 76 characters. */
export const BASE64_LINE = 57;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A path or name as text. Bytes that are no UTF-8 become single surrogates U+DC80 to U+DCFF, as Python's
 * surrogateescape does, so that the way back gives the same bytes.
 */
export function textOfName(bytes: Uint8Array): string {
	try {
		return utf8.decode(bytes);
	} catch {
		return decodeWithEscapes(bytes);
	}
}

function sequenceLength(first: number): number {
	if (first < 0x80) return 1;
	if (first >= 0xc2 && first < 0xe0) return 2;
	if (first >= 0xe0 && first < 0xf0) return 3;
	return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

function decodeWithEscapes(bytes: Uint8Array): string {
	let text = "";
	for (let at = 0; at < bytes.length; ) {
		const first = bytes[at] as number;
		const length = sequenceLength(first);
		try {
			if (length === 0 || at + length > bytes.length) throw new RangeError();
			text += utf8.decode(bytes.subarray(at, at + length));
			at += length;
		} catch {
			text += String.fromCharCode(0xdc00 + first);
			at++;
		}
	}
	return text;
}

/** The bytes of such a text; undefined when it has other single surrogates. */
export function bytesOfName(text: string): Uint8Array | undefined {
	if (text.isWellFormed()) return Buffer.from(text);
	const parts: Uint8Array[] = [];
	for (const character of text) {
		const code = character.codePointAt(0) as number;
		if (code < 0xd800 || code > 0xdfff) parts.push(Buffer.from(character));
		else if (code >= 0xdc80 && code <= 0xdcff) parts.push(Uint8Array.of(code - 0xdc00));
		else return undefined;
	}
	return Buffer.concat(parts);
}

/** Base64 in lines of 76 characters, each ended by `newline`; bytes whose number is no multiple of 57 end the text. */
export function base64Lines(bytes: Uint8Array, newline: string): string {
	const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
	let lines = "";
	for (let at = 0; at < text.length; at += 76) lines += text.slice(at, at + 76) + newline;
	return lines;
}

/** The bytes of a base64 text, white space left out; undefined when it's none. */
export function readBase64(text: string): Uint8Array | undefined {
	const bare = /\s/.test(text) ? text.replace(/\s+/g, "") : text;
	if (bare.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(bare)) return undefined;
	return Buffer.from(bare, "base64");
}

function octets(word: number): number[] {
	return [word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24];
}

/** An address given as words in memory order, 1 for IPv4, 4 for IPv6, in its shortest form; undefined for other counts. */
export function addressText(words: readonly number[]): string | undefined {
	const bytes = words.flatMap(octets);
	if (bytes.length === 4) return bytes.join(".");
	if (bytes.length !== 16) return undefined;
	const groups = Array.from({ length: 8 }, (_, at) => (bytes[at * 2] as number) * 256 + (bytes[at * 2 + 1] as number));
	const { start, length } = longestZeros(groups);
	const hex = groups.map((group) => group.toString(16));
	if (length < 2) return hex.join(":");
	return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

function longestZeros(groups: readonly number[]): { start: number; length: number } {
	let best = { start: 0, length: 0 };
	for (let start = 0; start < groups.length; start++) {
		let end = start;
		while (groups[end] === 0) end++;
		if (end - start > best.length) best = { start, length: end - start };
	}
	return best;
}

function readIpv4(text: string): number[] | undefined {
	const parts = text.split(".");
	const numbers = parts.map((part) => (/^(?:0|[1-9][0-9]{0,2})$/.test(part) ? Number(part) : 256));
	return parts.length === 4 && numbers.every((number) => number < 256) ? numbers : undefined;
}

function readGroups(text: string): number[] | undefined {
	if (text === "") return [];
	const bytes: number[] = [];
	const parts = text.split(":");
	for (const [at, part] of parts.entries()) {
		const ipv4 = at === parts.length - 1 ? readIpv4(part) : undefined;
		if (ipv4 !== undefined) bytes.push(...ipv4);
		else if (/^[0-9a-fA-F]{1,4}$/.test(part))
			bytes.push(Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255);
		else return undefined;
	}
	return bytes;
}

function readIpv6(text: string): number[] | undefined {
	const halves = text.split("::").map(readGroups);
	if (halves.length > 2 || halves.includes(undefined)) return undefined;
	const [head, tail] = halves as number[][];
	if (head === undefined) return undefined;
	if (tail === undefined) return head.length === 16 ? head : undefined;
	const missing = 16 - head.length - tail.length;
	return missing < 2 ? undefined : [...head, ...Array<number>(missing).fill(0), ...tail];
}

/** The words in memory order of an address text; undefined when it's none. */
export function wordsOfAddress(text: string): number[] | undefined {
	const bytes = readIpv4(text) ?? readIpv6(text);
	if (bytes === undefined) return undefined;
	const view = new DataView(Uint8Array.from(bytes).buffer);
	return Array.from({ length: bytes.length / 4 }, (_, at) => view.getUint32(at * 4, true));
}

/** A size for people, as crit shows payloads that it leaves out: `9B`, `1.5KB`. */
export function sizeText(size: number): string {
	let value = size;
	for (const unit of ["", "K", "M", "G", "T", "P"]) {
		if (value < 1024) return Number.isInteger(value) ? `${value}${unit}B` : `${value.toFixed(1)}${unit}B`;
		value /= 1024;
	}
	return `${value.toFixed(1)}EB`;
}
