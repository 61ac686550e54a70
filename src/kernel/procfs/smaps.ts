// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/smaps: the VMAs of a task with flags and usage. It adds `Key:   n kB` lines and `VmFlags: ..` to those of maps. What looks like
// something before isn't looked at again: a program with very many mappings has few sorts of them, and a forked child those of its parent.

import { AreaText, hexBig, isSameMapping, type VmaFacts } from "./maps.ts";
import { asciiText, procParseError } from "./parse.ts";
import { PROC_ROOT, readProcParts } from "./reader.ts";

/** A VMA as smaps tells it; sizes in KiB. */
export interface SmapsFacts extends VmaFacts {
	/** The two-letter mnemonics of VmFlags (`rd`, `gd`, `io`, …). Equal sets share one object. */
	vmFlags: ReadonlySet<string>;
	kernelPageSizeKb: number;
	rssKb: number;
	anonymousKb: number;
	swapKb: number;
	lockedKb: number;
	/** Pages that other mappings have too, dirty or not: after a fork those of anonymous memory as well. */
	sharedCleanKb: number;
	sharedDirtyKb: number;
	anonHugePagesKb: number;
	privateHugetlbKb: number;
	sharedHugetlbKb: number;
	/** 0 for most memory; the kernel gives one to memory that can only be executed. */
	protectionKey: number;
}

const NO_FLAGS: ReadonlySet<string> = new Set();

/** Keys of smaps lines, and where they go. */
const SMAPS_KEYS = {
	KernelPageSize: "kernelPageSizeKb",
	Rss: "rssKb",
	Anonymous: "anonymousKb",
	Swap: "swapKb",
	Locked: "lockedKb",
	Shared_Clean: "sharedCleanKb",
	Shared_Dirty: "sharedDirtyKb",
	AnonHugePages: "anonHugePagesKb",
	Private_Hugetlb: "privateHugetlbKb",
	Shared_Hugetlb: "sharedHugetlbKb",
	ProtectionKey: "protectionKey",
} as const satisfies Record<string, keyof SmapsFacts>;

const SMAPS_ENTRIES = Object.entries(SMAPS_KEYS).map(([key, field]) => ({ text: `\n${key}:`, field }));
const VM_FLAGS = "\nVmFlags:";
/** Begins the last line of an area. */
const LAST_LINE = VM_FLAGS;

const NUMBER = /[ \t]*(\d{1,15})(?= |\n|$)/y;

/** The number at `at` of a text. */
function numberAt({ text, file }: AreaText, at: number): number {
	NUMBER.lastIndex = at;
	const digits = NUMBER.exec(text)?.[1];
	if (digits === undefined) throw procParseError(file, `no number at byte ${at}`);
	return Number(digits);
}

/** Where a key stands next. Each place is searched for once, however many areas lack the key. */
class KeyPlaces {
	private at = -1;

	constructor(
		private readonly text: string,
		readonly key: string,
	) {}

	/** The index behind the key in [from, end), -1 when it isn't there. */
	behind(from: number, end: number): number {
		if (this.at < from) {
			const found = this.text.indexOf(this.key, from);
			this.at = found < 0 ? Number.POSITIVE_INFINITY : found;
		}
		return this.at < end ? this.at + this.key.length : -1;
	}
}

/** Reads the detail lines of areas, and interns VmFlags: a task has few different ones. */
class SmapsDetails {
	private readonly numbers: { places: KeyPlaces; field: (typeof SMAPS_ENTRIES)[number]["field"] }[];
	private readonly flags: KeyPlaces;
	private readonly nextArea = /\n[^A-Z]/g;

	constructor(
		private readonly source: AreaText,
		private readonly flagSets: Map<string, ReadonlySet<string>>,
	) {
		this.numbers = SMAPS_ENTRIES.map(({ text, field }) => ({ places: new KeyPlaces(source.text, text), field }));
		this.flags = new KeyPlaces(source.text, VM_FLAGS);
	}

	/** Takes all lines up to the next area. */
	readInto(vma: SmapsFacts): void {
		const { source } = this;
		const { text } = source;
		// The newline before the first detail belongs to the search.
		const from = source.pos - 1;
		this.nextArea.lastIndex = from;
		const end = this.nextArea.test(text) ? this.nextArea.lastIndex - 1 : text.length;
		for (const { places, field } of this.numbers) {
			const at = places.behind(from, end);
			if (at >= 0) vma[field] = numberAt(source, at);
		}
		const at = this.flags.behind(from, end);
		if (at >= 0) {
			const stop = text.indexOf("\n", at);
			vma.vmFlags = this.flagSet(text.slice(at, stop < 0 ? text.length : stop));
		}
		source.pos = end;
	}

	private flagSet(line: string): ReadonlySet<string> {
		let set = this.flagSets.get(line);
		if (set === undefined) {
			const flags = new Set(line.trim().split(" "));
			// VM_LOCKONFAULT, where the kernel has no name for it: nothing else without one comes with "lo".
			set = flags.has("lo") && flags.delete("??") ? flags.add("lf") : flags;
			this.flagSets.set(line, set);
		}
		return set;
	}
}

/** What neighbours have in common: all that follows their addresses. */
interface Look {
	/** From behind the addresses to the next area. */
	readonly text: string;
	readonly facts: SmapsFacts;
}

/** An area as a file has it. */
interface Area {
	readonly text: string;
	readonly facts: SmapsFacts;
}

/** True of flags that tell of a userfaultfd. */
export const isWatched = (vmFlags: ReadonlySet<string>): boolean =>
	vmFlags.has("um") || vmFlags.has("uw") || vmFlags.has("ui");

/** More looks than that in turn are rare. */
const MAX_LOOKS = 8;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;
/** Texts beyond that, of huge lists of names, aren't worth being compared. */
const MAX_LOOK = 4096;

/**
 * Parses smaps piece by piece. A program with very many mappings has few sorts of them: where the text that follows the addresses is
 * that of one before, nothing in it is looked at again.
 */
class SmapsParser {
	readonly vmas: SmapsFacts[] = [];
	private readonly looks: Look[] = [];
	private readonly flagSets = new Map<string, ReadonlySet<string>>();
	private lastEnd = 0n;
	private lastEndText = "";
	/** All areas, for the next file. */
	readonly areas: Area[] = [];
	/** Which of the earlier areas may be the next. */
	private at = 0;

	constructor(
		private readonly file: string,
		private readonly earlier: readonly Area[] = [],
	) {}

	/** Takes whole areas. */
	take(text: string): void {
		const source = new AreaText(text, this.file);
		let details: SmapsDetails | undefined;
		while (!source.atEnd()) {
			const from = source.pos;
			if (this.takeAgain(source) || this.takeAlike(source)) continue;
			details ??= new SmapsDetails(source, this.flagSets);
			const vma = withoutDetails(source.area(), NO_FLAGS);
			details.readInto(vma);
			this.vmas.push(vma);
			this.remember(text.slice(text.indexOf(" ", from), source.pos), vma);
			this.areas.push({ text: text.slice(from, source.pos), facts: vma });
			while ((this.earlier[this.at]?.facts.start ?? vma.end) <= vma.start) this.at++;
		}
	}

	/** Takes an area that an earlier file has, too; false when it's none. */
	private takeAgain(source: AreaText): boolean {
		const area = this.earlier[this.at];
		if (area === undefined || !source.text.startsWith(area.text, source.pos)) return false;
		const next = source.text.charCodeAt(source.pos + area.text.length);
		if (next >= UPPER_A && next <= UPPER_Z) return false;
		source.pos += area.text.length;
		this.at++;
		this.vmas.push(sameLook(area.facts, area.facts.start, area.facts.end));
		this.areas.push(area);
		return true;
	}

	private remember(text: string, facts: SmapsFacts): void {
		if (text.length > MAX_LOOK) return;
		if (this.looks.length === MAX_LOOKS) this.looks.pop();
		this.looks.unshift({ text, facts });
	}

	/** Takes an area that looks like one before; false when there was none. */
	private takeAlike(source: AreaText): boolean {
		const { looks } = this;
		const { text, pos } = source;
		const blank = text.indexOf(" ", pos);
		for (let index = 0; index < looks.length; index++) {
			const look = looks[index] as Look;
			if (!text.startsWith(look.text, blank)) continue;
			const behind = blank + look.text.length;
			const next = text.charCodeAt(behind);
			if (next >= UPPER_A && next <= UPPER_Z) return false;
			const range = source.range(blank);
			if (range === undefined) return false;
			const start = range[0] === this.lastEndText ? this.lastEnd : hexBig(range[0]);
			const end = hexBig(range[1]);
			if (end <= start) return false;
			this.lastEnd = end;
			this.lastEndText = range[1];
			source.pos = behind;
			this.vmas.push(sameLook(look.facts, start, end));
			return true;
		}
		return false;
	}
}

/**
 * The VMAs in the text of /proc/PID/smaps, in its order. A file without VmFlags lines gives empty sets.
 * @throws CriuError PROC_PARSE. Source: proc_pid_smaps(5).
 */
export function parseSmaps(bytes: Uint8Array, file = "smaps"): SmapsFacts[] {
	const parser = new SmapsParser(file);
	parser.take(asciiText(bytes));
	return parser.vmas;
}

function sameLook(facts: SmapsFacts, start: bigint, end: bigint): SmapsFacts {
	return {
		start,
		end,
		prot: facts.prot,
		shared: facts.shared,
		pgoff: facts.pgoff,
		devMajor: facts.devMajor,
		devMinor: facts.devMinor,
		ino: facts.ino,
		name: facts.name,
		vmFlags: facts.vmFlags,
		kernelPageSizeKb: facts.kernelPageSizeKb,
		rssKb: facts.rssKb,
		anonymousKb: facts.anonymousKb,
		swapKb: facts.swapKb,
		lockedKb: facts.lockedKb,
		sharedCleanKb: facts.sharedCleanKb,
		sharedDirtyKb: facts.sharedDirtyKb,
		anonHugePagesKb: facts.anonHugePagesKb,
		privateHugetlbKb: facts.privateHugetlbKb,
		sharedHugetlbKb: facts.sharedHugetlbKb,
		protectionKey: facts.protectionKey,
	};
}

function withoutDetails(line: VmaFacts, vmFlags: ReadonlySet<string>): SmapsFacts {
	return {
		start: line.start,
		end: line.end,
		prot: line.prot,
		shared: line.shared,
		pgoff: line.pgoff,
		devMajor: line.devMajor,
		devMinor: line.devMinor,
		ino: line.ino,
		name: line.name,
		vmFlags,
		kernelPageSizeKb: 4,
		rssKb: 0,
		anonymousKb: 0,
		swapKb: 0,
		lockedKb: 0,
		sharedCleanKb: 0,
		sharedDirtyKb: 0,
		anonHugePagesKb: 0,
		privateHugetlbKb: 0,
		sharedHugetlbKb: 0,
		protectionKey: 0,
	};
}

/** Of a mapping of which only its line is known: that of memory which the kernel may drop, so that nobody counts on it. */
const UNKNOWN_FLAGS: ReadonlySet<string> = new Set(["dp"]);

/**
 * The VMAs of a task with what an earlier look at its smaps told of them, which costs no page table walk. What has come since
 * has the flag `dp` alone. Good where a wrong guess only costs time: a mapping may have been replaced by one with the same line.
 */
export function recallDetails(lines: readonly VmaFacts[], seen: readonly SmapsFacts[]): SmapsFacts[] {
	const byStart = new Map(seen.map((vma) => [vma.start, vma]));
	return lines.map((line) => {
		const known = byStart.get(line.start);
		return known !== undefined && isSameMapping(known, line)
			? { ...known, end: line.end }
			: withoutDetails(line, UNKNOWN_FLAGS);
	});
}

/** Whether a mapping was seen before, of those that recallDetails gives. */
export const isRecalled = ({ vmFlags }: SmapsFacts): boolean => vmFlags !== UNKNOWN_FLAGS;

/**
 * What was read last: a forked child has most areas as its parent and its siblings. Not of long files, nor where a userfaultfd watches:
 * if it's ours its flags are taken out of the set, and each task needs a set of its own.
 */
let last:
	| { readonly bytes: Uint8Array; readonly vmas: readonly SmapsFacts[]; readonly areas: readonly Area[] }
	| undefined;
/** Bytes. */
const LONG = 256 * 1024;

/** The VMAs of a task with flags and usage; costs a page table walk of the whole task. @throws KernelError, CriuError PROC_PARSE */
export function readSmaps(pid: number | "self", procRoot = PROC_ROOT): SmapsFacts[] {
	const path = `${procRoot}/${pid}/smaps`;
	const earlier = last;
	const parser = new SmapsParser(path, earlier?.areas);
	let parts = 0;
	readProcParts(path, LAST_LINE, (bytes) => {
		parts++;
		if (parts === 1 && earlier !== undefined && Buffer.compare(bytes, earlier.bytes) === 0) {
			for (const facts of earlier.vmas) parser.vmas.push(sameLook(facts, facts.start, facts.end));
			return;
		}
		parser.take(asciiText(bytes));
		const isGood = parts === 1 && bytes.length < LONG && !parser.vmas.some(({ vmFlags }) => isWatched(vmFlags));
		last = isGood ? { bytes: bytes.slice(), vmas: parser.vmas, areas: parser.areas } : undefined;
	});
	return parser.vmas;
}
