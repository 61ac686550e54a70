// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/maps: the VMAs of a task. 10,000 of them are ordinary, and a short run of criu executes this code a few
// dozen times: the searching is left to the engine's native string functions, which need no warming up.
// A line: `start-end perms pgoff major:minor inode   name`.

import { PROT_EXEC, PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { asciiText, procParseError, unescapeOctal } from "./parse.ts";
import { PROC_ROOT, readProcFile } from "./reader.ts";

/** One VMA, [start, end). */
export interface VmaFacts {
	start: bigint;
	end: bigint;
	/** PROT_READ | PROT_WRITE | PROT_EXEC. */
	prot: number;
	shared: boolean;
	/** Offset in the file, in bytes. */
	pgoff: bigint;
	devMajor: number;
	devMinor: number;
	ino: bigint;
	/** Raw: `\012` for a newline, ` (deleted)` when unlinked; empty for anonymous memory. Equal neighbours share one array. */
	name: Uint8Array;
}

const NO_NAME = new Uint8Array(0);
/** The first line of an area, from where it begins to its newline or the end; a blank stands before any name. */
const AREA_LINE =
	/([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([r-])([w-])([x-])([sp]) ([0-9a-f]{1,16}) ([0-9a-f]{1,8}):([0-9a-f]{1,8}) (\d{1,20})(?: +(.*)| *)(?:\n|$)/y;
const RANGE = /([0-9a-f]{1,16})-([0-9a-f]{1,16})(?= )/y;
const U64_MAX = (1n << 64n) - 1n;
/** Hex digits that fit into a number exactly. */
const SAFE_HEX_DIGITS = 13;

/** The number that hex digits stand for. */
export function hexBig(digits: string): bigint {
	return digits.length <= SAFE_HEX_DIGITS ? BigInt(Number.parseInt(digits, 16)) : BigInt(`0x${digits}`);
}

/** The text of a file of areas; each byte is one character. */
export class AreaText {
	pos = 0;
	private nameText = "";
	private name = NO_NAME;

	constructor(
		readonly text: string,
		readonly file: string,
	) {}

	atEnd(): boolean {
		return this.pos >= this.text.length;
	}

	fail(detail: string): never {
		throw procParseError(this.file, `${detail} at byte ${this.pos}`);
	}

	/** Takes the line of an area. */
	area(): VmaFacts {
		AREA_LINE.lastIndex = this.pos;
		const match = AREA_LINE.exec(this.text);
		if (match === null) this.fail("no line of an area");
		const [line, startText = "", endText = "", r, w, x, sharing, offset = "", major = "", minor = "", inoText = ""] =
			match;
		const start = hexBig(startText);
		const end = hexBig(endText);
		if (end <= start) this.fail("the area's end is not above its start");
		const ino = inoText === "0" ? 0n : BigInt(inoText);
		if (ino > U64_MAX) this.fail("a number is too large");
		this.pos += line.length;
		return {
			start,
			end,
			prot: (r === "r" ? PROT_READ : 0) | (w === "w" ? PROT_WRITE : 0) | (x === "x" ? PROT_EXEC : 0),
			shared: sharing === "s",
			pgoff: hexBig(offset),
			devMajor: Number.parseInt(major, 16),
			devMinor: Number.parseInt(minor, 16),
			ino,
			name: this.nameOf(match[11] ?? ""),
		};
	}

	/** The addresses of the area that begins here, as texts; undefined unless a blank at `blank` follows. */
	range(blank: number): readonly [start: string, end: string] | undefined {
		RANGE.lastIndex = this.pos;
		const match = RANGE.exec(this.text);
		if (match === null || RANGE.lastIndex !== blank) return undefined;
		return [match[1] as string, match[2] as string];
	}

	/** Neighbours often have the same name. */
	private nameOf(text: string): Uint8Array {
		if (text === "") return NO_NAME;
		if (text !== this.nameText) {
			this.nameText = text;
			this.name = new Uint8Array(Buffer.from(text, "latin1"));
		}
		return this.name;
	}
}

/**
 * The VMAs in the text of /proc/PID/maps, in its order (ascending). The result doesn't refer to `bytes`.
 * @throws CriuError PROC_PARSE. Source: proc_pid_maps(5).
 */
export function parseMaps(bytes: Uint8Array, file = "maps"): VmaFacts[] {
	const vmas: VmaFacts[] = [];
	const text = new AreaText(asciiText(bytes), file);
	while (!text.atEnd()) vmas.push(text.area());
	return vmas;
}

/** What divides the rights of an area from its start, where it can be read and executed. */
const EXECUTABLE = / r[w-]x[sp] /g;

/** The same without areas that can't be read and executed: ten thousand others cost next to nothing. */
export function parseExecutableMaps(bytes: Uint8Array, file = "maps"): VmaFacts[] {
	const vmas: VmaFacts[] = [];
	const text = new AreaText(asciiText(bytes), file);
	for (const { index } of text.text.matchAll(EXECUTABLE)) {
		const start = text.text.lastIndexOf("\n", index) + 1;
		// A name may hold the same.
		if (start < text.pos || text.text.indexOf(" ", start) !== index) continue;
		text.pos = start;
		vmas.push(text.area());
	}
	return vmas;
}

/** True when two lines are of one mapping, as far as they can tell; it may have grown at its end. */
export function isSameMapping(a: VmaFacts, b: VmaFacts): boolean {
	const isAlike = a.start === b.start && a.prot === b.prot && a.shared === b.shared && a.pgoff === b.pgoff;
	return isAlike && a.ino === b.ino && a.devMinor === b.devMinor && Buffer.compare(a.name, b.name) === 0;
}

/** The VMA that holds an address, of a list in ascending order. */
export function findVmaAt<T extends { readonly start: bigint; readonly end: bigint }>(
	vmas: readonly T[],
	address: bigint,
): T | undefined {
	let low = 0;
	let high = vmas.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if ((vmas[middle] as T).end <= address) low = middle + 1;
		else high = middle;
	}
	const found = vmas[low];
	return found !== undefined && found.start <= address ? found : undefined;
}

/** The VMAs of a task. @throws KernelError, CriuError PROC_PARSE */
export function readMaps(pid: number | "self", procRoot = PROC_ROOT): VmaFacts[] {
	const path = `${procRoot}/${pid}/maps`;
	return parseMaps(readProcFile(path), path);
}

/** The VMAs of a task that can be read and executed. @throws KernelError, CriuError PROC_PARSE */
export function readExecutableMaps(pid: number | "self", procRoot = PROC_ROOT): VmaFacts[] {
	const path = `${procRoot}/${pid}/maps`;
	return parseExecutableMaps(readProcFile(path), path);
}

/**
 * The path that a VMA's name stands for, newlines restored. The kernel escapes newlines only and doesn't escape backslashes,
 * so a file really called `a\012b` reads the same: where it matters, ask the link in map_files (links.ts).
 */
export function vmaPath(vma: VmaFacts): Uint8Array {
	return unescapeOctal(vma.name);
}
