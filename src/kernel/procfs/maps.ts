// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/maps and smaps: the VMAs of a task. Parsed as bytes: 10,000 of them are ordinary.
// A line: `start-end perms pgoff major:minor inode   name`; smaps adds `Key:   n kB` lines and `VmFlags: ..`.

import { PROT_EXEC, PROT_READ, PROT_WRITE } from "../abi/mman.ts";
import { asciiText, ProcCursor, sameBytes, unescapeOctal } from "./parse.ts";
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

/** A VMA as smaps tells it; sizes in KiB. */
export interface SmapsFacts extends VmaFacts {
	/** The two-letter mnemonics of VmFlags (`rd`, `gd`, `io`, …). Equal sets share one object. */
	vmFlags: ReadonlySet<string>;
	kernelPageSizeKb: number;
	rssKb: number;
	anonymousKb: number;
	swapKb: number;
	lockedKb: number;
	anonHugePagesKb: number;
	privateHugetlbKb: number;
	sharedHugetlbKb: number;
}

const NO_NAME = new Uint8Array(0);
const NO_FLAGS: ReadonlySet<string> = new Set();
const DASH = 0x2d;

/** Keys of smaps lines, and where they go. */
const SMAPS_KEYS = {
	KernelPageSize: "kernelPageSizeKb",
	Rss: "rssKb",
	Anonymous: "anonymousKb",
	Swap: "swapKb",
	Locked: "lockedKb",
	AnonHugePages: "anonHugePagesKb",
	Private_Hugetlb: "privateHugetlbKb",
	Shared_Hugetlb: "sharedHugetlbKb",
} as const satisfies Record<string, keyof SmapsFacts>;

const SMAPS_ENTRIES = Object.entries(SMAPS_KEYS).map(([key, field]) => ({ text: `${key}:`, field }));

/** Reads one `rwxp` letter; returns `bit` when it's set. */
function permission(cursor: ProcCursor, letter: number, bit: number): number {
	const byte = cursor.peek();
	if (byte !== letter && byte !== DASH) cursor.fail("a permission letter is wrong");
	cursor.pos++;
	return byte === letter ? bit : 0;
}

/** Parses one line; `previous` lends its name when it's the same. */
function parseLine(cursor: ProcCursor, previous: Uint8Array): VmaFacts {
	const start = cursor.hexBig();
	cursor.expect("-");
	const end = cursor.hexBig();
	if (end <= start) cursor.fail("the area's end is not above its start");
	cursor.expect(" ");
	const prot =
		permission(cursor, 0x72, PROT_READ) | permission(cursor, 0x77, PROT_WRITE) | permission(cursor, 0x78, PROT_EXEC);
	const sharing = cursor.peek();
	if (sharing !== 0x73 && sharing !== 0x70) cursor.fail("neither s nor p");
	cursor.pos++;
	cursor.expect(" ");
	const pgoff = cursor.hexBig();
	cursor.expect(" ");
	const devMajor = cursor.hex();
	cursor.expect(":");
	const devMinor = cursor.hex();
	cursor.expect(" ");
	const ino = cursor.decimalBig();
	const name = parseName(cursor, previous);
	return { start, end, prot, shared: sharing === 0x73, pgoff, devMajor, devMinor, ino, name };
}

function parseName(cursor: ProcCursor, previous: Uint8Array): Uint8Array {
	const after = cursor.peek();
	if (after !== -1 && after !== 0x20 && after !== 0x0a) cursor.fail("the inode runs into something else");
	cursor.skipBlanks();
	const name = cursor.restOfLine();
	if (name.length === 0) return NO_NAME;
	return sameBytes(name, previous) ? previous : name.slice();
}

/**
 * The VMAs in the text of /proc/PID/maps, in its order (ascending). The result doesn't refer to `bytes`.
 * @throws CriuError PROC_PARSE. Source: proc_pid_maps(5).
 */
export function parseMaps(bytes: Uint8Array, file = "maps"): VmaFacts[] {
	const vmas: VmaFacts[] = [];
	const cursor: ProcCursor = new ProcCursor(bytes, file);
	let name: Uint8Array = NO_NAME;
	while (!cursor.atEnd()) {
		const vma = parseLine(cursor, name);
		name = vma.name;
		vmas.push(vma);
	}
	return vmas;
}

/** Interns VmFlags lines: a task has few different ones. */
class FlagSets {
	private readonly known = new Map<string, ReadonlySet<string>>();
	private lastRaw: Uint8Array = NO_NAME;
	private last: ReadonlySet<string> = NO_FLAGS;

	of(raw: Uint8Array): ReadonlySet<string> {
		if (sameBytes(raw, this.lastRaw)) return this.last;
		const text = asciiText(raw);
		let set = this.known.get(text);
		if (set === undefined) {
			set = new Set(text.split(" ").filter((word) => word !== ""));
			this.known.set(text, set);
		}
		this.lastRaw = raw;
		this.last = set;
		return set;
	}
}

/** Reads one `Key:` line of smaps into the VMA; unknown keys are passed over. */
function parseDetail(cursor: ProcCursor, vma: SmapsFacts, flags: FlagSets): void {
	if (cursor.startsWith("VmFlags:")) {
		cursor.pos += "VmFlags:".length;
		vma.vmFlags = flags.of(cursor.restOfLine());
		return;
	}
	for (const { text, field } of SMAPS_ENTRIES) {
		if (!cursor.startsWith(text)) continue;
		cursor.pos += text.length;
		cursor.skipBlanks();
		vma[field] = cursor.decimal();
		break;
	}
	cursor.skipLine();
}

/**
 * The VMAs in the text of /proc/PID/smaps, in its order. A file without VmFlags lines gives empty sets.
 * @throws CriuError PROC_PARSE. Source: proc_pid_smaps(5).
 */
export function parseSmaps(bytes: Uint8Array, file = "smaps"): SmapsFacts[] {
	const vmas: SmapsFacts[] = [];
	const cursor: ProcCursor = new ProcCursor(bytes, file);
	const flags = new FlagSets();
	let current: SmapsFacts | undefined;
	while (!cursor.atEnd()) {
		const first = cursor.peek();
		if (first >= 0x41 && first <= 0x5a) {
			if (current === undefined) cursor.fail("a detail comes before the first area");
			parseDetail(cursor, current, flags);
			continue;
		}
		const line: VmaFacts = parseLine(cursor, current?.name ?? NO_NAME);
		current = {
			start: line.start,
			end: line.end,
			prot: line.prot,
			shared: line.shared,
			pgoff: line.pgoff,
			devMajor: line.devMajor,
			devMinor: line.devMinor,
			ino: line.ino,
			name: line.name,
			vmFlags: NO_FLAGS,
			kernelPageSizeKb: 4,
			rssKb: 0,
			anonymousKb: 0,
			swapKb: 0,
			lockedKb: 0,
			anonHugePagesKb: 0,
			privateHugetlbKb: 0,
			sharedHugetlbKb: 0,
		};
		vmas.push(current);
	}
	return vmas;
}

/** The VMAs of a task. @throws KernelError, CriuError PROC_PARSE */
export function readMaps(pid: number | "self", procRoot = PROC_ROOT): VmaFacts[] {
	const path = `${procRoot}/${pid}/maps`;
	return parseMaps(readProcFile(path), path);
}

/** The VMAs of a task with flags and usage; costs a page table walk of the whole task. @throws KernelError, CriuError PROC_PARSE */
export function readSmaps(pid: number | "self", procRoot = PROC_ROOT): SmapsFacts[] {
	const path = `${procRoot}/${pid}/smaps`;
	return parseSmaps(readProcFile(path), path);
}

/**
 * The path that a VMA's name stands for, newlines restored. The kernel escapes newlines only and doesn't escape backslashes,
 * so a file really called `a\012b` reads the same: where it matters, ask the link in map_files (links.ts).
 */
export function vmaPath(vma: VmaFacts): Uint8Array {
	return unescapeOctal(vma.name);
}
