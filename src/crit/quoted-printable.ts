// SPDX-License-Identifier: GPL-2.0-only
// Names of unix sockets in crit's JSON: quoted-printable (RFC 2045, 6.7) as Python's quopri module writes it, with soft
// line breaks and all. A line ends with \r\n when the first line of the data does.

const MAX_LINE = 76;
const EQUALS = 0x3d;
const LF = 10;
const CR = 13;
const TAB = 9;
const SPACE = 32;

function hex(byte: number): string {
	return `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

/** Whether the byte at `at` has to be written as =XX; `column` is where it would stand. */
function needsQuoting(bytes: Uint8Array, at: number, column: number): boolean {
	const byte = bytes[at] as number;
	const next = bytes[at + 1];
	if (byte > 126 || byte === EQUALS) return true;
	// A line of a single dot ends a mail.
	if (byte === 0x2e && column === 0) return next === undefined || next === LF || next === CR || next === 0;
	if ((byte === TAB || byte === SPACE) && next === undefined) return true;
	return byte < 33 && byte !== CR && byte !== LF && byte !== TAB && byte !== SPACE;
}

/** Bytes as quoted-printable text. */
export function encodeQuotedPrintable(bytes: Uint8Array): string {
	const firstBreak = bytes.indexOf(LF);
	const lineEnd = firstBreak > 0 && bytes[firstBreak - 1] === CR ? "\r\n" : "\n";
	let text = "";
	let column = 0;
	for (let at = 0; at < bytes.length; at++) {
		const byte = bytes[at] as number;
		const next = bytes[at + 1];
		if (needsQuoting(bytes, at, column)) {
			if (column + 3 >= MAX_LINE) {
				text += `=${lineEnd}`;
				column = 0;
			}
			text += hex(byte);
			column += 3;
			continue;
		}
		if (byte === LF || (byte === CR && next === LF)) {
			// White space at the end of a line would get lost on the way.
			const last = text.charCodeAt(text.length - 1);
			if (column > 0 && (last === SPACE || last === TAB)) text = `${text.slice(0, -1)}${hex(last)}`;
			text += lineEnd;
			column = 0;
			if (byte === CR) at++;
			continue;
		}
		if (next !== undefined && next !== LF && column + 1 >= MAX_LINE) {
			text += `=${lineEnd}`;
			column = 0;
		}
		text += String.fromCharCode(byte);
		column++;
	}
	return text;
}

function hexValue(code: number): number {
	if (code >= 0x30 && code <= 0x39) return code - 0x30;
	const letter = code | 0x20;
	return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}

/** The bytes of a quoted-printable text; what is no valid escape stays as it is. */
export function decodeQuotedPrintable(text: string): Uint8Array {
	const from = Buffer.from(text);
	const bytes: number[] = [];
	for (let at = 0; at < from.length; at++) {
		const byte = from[at] as number;
		if (byte !== EQUALS) {
			bytes.push(byte);
			continue;
		}
		const next = from[at + 1];
		if (next === undefined) break;
		const high = hexValue(next);
		const low = hexValue(from[at + 2] ?? 0);
		if (next === LF || next === CR) {
			while (at + 1 < from.length && from[at + 1] !== LF) at++;
			at++;
		} else if (next === EQUALS) {
			bytes.push(EQUALS);
			at++;
		} else if (high >= 0 && low >= 0) {
			bytes.push(high * 16 + low);
			at += 2;
		} else bytes.push(EQUALS);
	}
	return Uint8Array.from(bytes);
}
