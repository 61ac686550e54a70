// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/status: `Key:<tab>value` lines. The name is escaped (`\n`, `\\`), so lines can be trusted.

import { asciiText, procParseError } from "./parse.ts";
import { PROC_ROOT, readProcFile } from "./reader.ts";

/** Real, effective, saved and file-system id. */
export type FourIds = readonly [real: number, effective: number, saved: number, fs: number];

/** What /proc/PID/status tells; a kernel without a field leaves it undefined. Ids are as the reader's namespaces see them. */
export interface ProcStatus {
	/** Raw bytes, escapes undone. */
	name: Uint8Array;
	/** Absent for zombies. */
	umask: number | undefined;
	/** One letter: R S D T t Z X I P. */
	state: string;
	tgid: number;
	pid: number;
	ppid: number;
	tracerPid: number;
	uid: FourIds;
	gid: FourIds;
	groups: readonly number[];
	/** Ids in each pid namespace, from the reader's inwards. */
	nsTgid: readonly number[];
	nsPid: readonly number[];
	nsPgid: readonly number[];
	nsSid: readonly number[];
	/** 0 for zombies that have been reaped meanwhile. */
	threads: number;
	/** Queued signals of the user, and the limit. */
	sigQueued: number;
	sigQueueLimit: bigint;
	/** Masks: bit signo - 1. */
	sigPnd: bigint;
	shdPnd: bigint;
	sigBlk: bigint;
	sigIgn: bigint;
	sigCgt: bigint;
	capInh: bigint;
	capPrm: bigint;
	capEff: bigint;
	capBnd: bigint;
	capAmb: bigint;
	noNewPrivs: boolean | undefined;
	/** 0 off, 1 strict, 2 filter; undefined without CONFIG_SECCOMP. */
	seccomp: number | undefined;
	/** Count of filters. Since: 5.9. */
	seccompFilters: number | undefined;
	thpEnabled: boolean | undefined;
	kthread: boolean | undefined;
	/** KiB; undefined for tasks without memory. */
	vmSizeKb: number | undefined;
	vmRssKb: number | undefined;
	vmLckKb: number | undefined;
	hugetlbKb: number | undefined;
	/** Words such as `shstk`, `wrss`. Since: 6.6, x86_64. */
	threadFeatures: readonly string[];
	/** All lines, raw text by key. */
	all: ReadonlyMap<string, string>;
}

const BACKSLASH = 0x5c;

/** Undoes `\n` and `\\` of the name (fs/proc/array.c:proc_task_name). */
function unescapeName(raw: Uint8Array): Uint8Array {
	const out: number[] = [];
	for (let i = 0; i < raw.length; i++) {
		const byte = raw[i] ?? 0;
		const next = raw[i + 1];
		if (byte === BACKSLASH && (next === BACKSLASH || next === 0x6e)) {
			out.push(next === BACKSLASH ? BACKSLASH : 0x0a);
			i++;
		} else out.push(byte);
	}
	return Uint8Array.from(out);
}

const DECIMAL = /^\d{1,15}(?=$|[ \t/])/;
const MASK = /^[0-9a-f]{1,16}$/;
const OCTAL = /^[0-7]{1,15}$/;
const NUMBER = /^\d{1,15}$/;
const U64_MAX = (1n << 64n) - 1n;

/** What was read before, by its text: threads and processes of a tree mostly have the same ids, groups and sets. */
const masks = new Map<string, bigint>();
const lists = new Map<string, readonly number[]>();
const MOST_REMEMBERED = 256;

function remember<T>(known: Map<string, T>, text: string, value: T): T {
	if (known.size < MOST_REMEMBERED) known.set(text, value);
	return value;
}

/** Values by key, each parsed on demand. */
class StatusFields {
	/** With a newline before each line. */
	private readonly text: string;

	constructor(
		text: string,
		private readonly file: string,
	) {
		this.text = `\n${text}`;
	}

	/** The first line of that key. */
	find(key: string): string | undefined {
		const at = this.text.indexOf(`\n${key}:`);
		if (at < 0) return undefined;
		const from = at + key.length + 2;
		const end = this.text.indexOf("\n", from);
		const value = this.text.slice(from, end < 0 ? this.text.length : end);
		return key === "Name" ? value.slice(1) : value.trim();
	}

	/** The text from the first line of a key to that of a later one, or to the end; empty without the first. */
	between(first: string, behind: string): string {
		const from = this.text.indexOf(`\n${first}:`);
		const to = from < 0 ? from : this.text.indexOf(`\n${behind}:`, from);
		return from < 0 ? "" : this.text.slice(from, to < 0 ? this.text.length : to);
	}

	/** All lines. */
	get all(): ReadonlyMap<string, string> {
		const keys = this.text
			.split("\n")
			.flatMap((line) => (line.includes(":") ? [line.slice(0, line.indexOf(":"))] : []));
		return new Map(keys.map((key) => [key, this.find(key) ?? ""]));
	}

	fail(key: string, detail: string): never {
		throw procParseError(this.file, `${key} ${detail}`);
	}

	need(key: string): string {
		return this.find(key) ?? this.fail(key, "is missing");
	}

	/** The decimal number that a value begins with. */
	number(key: string): number {
		return this.findNumber(key) ?? this.fail(key, "is missing");
	}

	findNumber(key: string): number | undefined {
		const text = this.find(key);
		if (text === undefined) return undefined;
		return Number(DECIMAL.exec(text)?.[0] ?? this.fail(key, "is no number"));
	}

	findOctal(key: string): number | undefined {
		const text = this.find(key);
		if (text !== undefined && !OCTAL.test(text)) this.fail(key, "is no octal number");
		return text === undefined ? undefined : Number.parseInt(text, 8);
	}

	flag(key: string): boolean | undefined {
		const value = this.findNumber(key);
		return value === undefined ? undefined : value !== 0;
	}

	mask(key: string): bigint {
		const text = this.need(key);
		const known = masks.get(text);
		if (known !== undefined) return known;
		return remember(masks, text, MASK.test(text) ? BigInt(`0x${text}`) : this.fail(key, "is no mask"));
	}

	/** Decimal numbers divided by blanks. */
	numbers(key: string): readonly number[] {
		return this.findNumbers(key) ?? this.fail(key, "is missing");
	}

	findNumbers(key: string): readonly number[] | undefined {
		const text = this.find(key);
		if (text === undefined) return undefined;
		const known = lists.get(text);
		if (known !== undefined) return known;
		const words = text === "" ? [] : text.split(/[ \t]+/);
		const list = words.map((word) => (NUMBER.test(word) ? Number(word) : this.fail(key, "is no list of numbers")));
		return remember(lists, text, list);
	}

	fourIds(key: string): FourIds {
		const [real, effective, saved, fs] = this.numbers(key);
		if (real === undefined || effective === undefined || saved === undefined || fs === undefined) {
			this.fail(key, "has fewer than four ids");
		}
		return [real, effective, saved, fs];
	}
}

/** What lines tell together, which isn't read again as long as their text stays the same: that of siblings mostly does. */
class Block<T extends object> {
	private text = "";
	private value: T | undefined;

	constructor(
		private readonly first: string,
		/** The line behind it. */
		private readonly behind: string,
		private readonly read: (fields: StatusFields) => T,
	) {}

	of(fields: StatusFields): T {
		const text = fields.between(this.first, this.behind);
		if (this.value !== undefined && text === this.text && text !== "") return this.value;
		const value = this.read(fields);
		this.text = text;
		this.value = value;
		return value;
	}
}

/** `queued/limit`. */
function signalQueue(fields: StatusFields): [queued: number, limit: bigint] {
	const match = /^(\d{1,15})\/(\d{1,20})$/.exec(fields.need("SigQ"));
	if (match?.[1] === undefined || match[2] === undefined) fields.fail("SigQ", "is no pair of numbers");
	const limit = BigInt(match[2]);
	if (limit > U64_MAX) fields.fail("SigQ", "is too large");
	return [Number(match[1]), limit];
}

const signalsAndCapabilities = new Block("SigQ", "Seccomp", (fields) => {
	const [sigQueued, sigQueueLimit] = signalQueue(fields);
	return {
		sigQueued,
		sigQueueLimit,
		sigPnd: fields.mask("SigPnd"),
		shdPnd: fields.mask("ShdPnd"),
		sigBlk: fields.mask("SigBlk"),
		sigIgn: fields.mask("SigIgn"),
		sigCgt: fields.mask("SigCgt"),
		capInh: fields.mask("CapInh"),
		capPrm: fields.mask("CapPrm"),
		capEff: fields.mask("CapEff"),
		capBnd: fields.mask("CapBnd"),
		capAmb: fields.mask("CapAmb"),
		noNewPrivs: fields.flag("NoNewPrivs"),
	};
});

const memory = new Block("VmPeak", "Threads", (fields) => ({
	vmSizeKb: fields.findNumber("VmSize"),
	vmRssKb: fields.findNumber("VmRSS"),
	vmLckKb: fields.findNumber("VmLck"),
	hugetlbKb: fields.findNumber("HugetlbPages"),
	thpEnabled: fields.flag("THP_enabled"),
}));

function optionalFields(fields: StatusFields) {
	return {
		umask: fields.findOctal("Umask"),
		seccomp: fields.findNumber("Seccomp"),
		seccompFilters: fields.findNumber("Seccomp_filters"),
		kthread: fields.flag("Kthread"),
		threadFeatures: (fields.find("x86_Thread_features") ?? "").split(" ").filter((word) => word !== ""),
	};
}

/** Parses the text of /proc/PID/status. @throws CriuError PROC_PARSE. Source: proc_pid_status(5), fs/proc/array.c. */
export function parseStatus(bytes: Uint8Array, file = "status"): ProcStatus {
	const fields = new StatusFields(asciiText(bytes), file);
	const state = fields.need("State")[0] ?? fields.fail("State", "is empty");
	return {
		name: unescapeName(Buffer.from(fields.need("Name"), "latin1")),
		state,
		tgid: fields.number("Tgid"),
		pid: fields.number("Pid"),
		ppid: fields.number("PPid"),
		tracerPid: fields.number("TracerPid"),
		uid: fields.fourIds("Uid"),
		gid: fields.fourIds("Gid"),
		groups: fields.numbers("Groups"),
		nsTgid: fields.findNumbers("NStgid") ?? [],
		nsPid: fields.findNumbers("NSpid") ?? [],
		nsPgid: fields.findNumbers("NSpgid") ?? [],
		nsSid: fields.findNumbers("NSsid") ?? [],
		threads: fields.number("Threads"),
		...signalsAndCapabilities.of(fields),
		...memory.of(fields),
		...optionalFields(fields),
		get all() {
			return fields.all;
		},
	};
}

/** Reads /proc/PID/status, or a thread's when `tid` is given. @throws KernelError, CriuError PROC_PARSE */
export function readStatus(pid: number | "self", procRoot = PROC_ROOT, tid?: number): ProcStatus {
	const path = tid === undefined ? `${procRoot}/${pid}/status` : `${procRoot}/${pid}/task/${tid}/status`;
	return parseStatus(readProcFile(path), path);
}
