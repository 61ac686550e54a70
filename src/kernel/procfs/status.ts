// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/status: `Key:<tab>value` lines. The name is escaped (`\n`, `\\`), so lines can be trusted.

import { asciiText, forEachLine, ProcCursor, procParseError } from "./parse.ts";
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

/** Values by key, each parsed on demand. */
class StatusFields {
	readonly lines = new Map<string, string>();
	name: Uint8Array | undefined;

	constructor(
		bytes: Uint8Array,
		readonly file: string,
	) {
		forEachLine(bytes, file, (line) => {
			const colon = line.find(0x3a);
			if (colon < 0) return;
			const key = asciiText(bytes.subarray(line.pos, colon));
			line.pos = colon + 1;
			line.skipBlanks();
			const value = bytes.subarray(line.pos, line.end);
			if (key === "Name") this.name ??= unescapeName(value);
			if (!this.lines.has(key)) this.lines.set(key, asciiText(value).trimEnd());
		});
	}

	private cursor(key: string): ProcCursor | undefined {
		const text = this.lines.get(key);
		return text === undefined ? undefined : new ProcCursor(Buffer.from(text, "latin1"), `${this.file} ${key}`);
	}

	need<T>(key: string, parse: (cursor: ProcCursor) => T): T {
		const cursor = this.cursor(key);
		if (cursor === undefined) throw procParseError(this.file, `${key} is missing`);
		return parse(cursor);
	}

	find<T>(key: string, parse: (cursor: ProcCursor) => T): T | undefined {
		const cursor = this.cursor(key);
		return cursor === undefined ? undefined : parse(cursor);
	}

	mask(key: string): bigint {
		return this.need(key, (cursor) => cursor.hexBig());
	}

	number(key: string): number {
		return this.need(key, (cursor) => cursor.decimal());
	}

	kb(key: string): number | undefined {
		return this.find(key, (cursor) => cursor.decimal());
	}

	flag(key: string): boolean | undefined {
		return this.find(key, (cursor) => cursor.decimal() !== 0);
	}
}

/** Decimal numbers divided by blanks. */
function numberList(cursor: ProcCursor): number[] {
	const out: number[] = [];
	for (;;) {
		cursor.skipBlanks();
		if (cursor.atEnd()) return out;
		out.push(cursor.decimal());
	}
}

function fourIds(cursor: ProcCursor): FourIds {
	const [real, effective, saved, fs] = numberList(cursor);
	if (real === undefined || effective === undefined || saved === undefined || fs === undefined)
		return cursor.fail("four ids are needed");
	return [real, effective, saved, fs];
}

function signalsAndCapabilities(fields: StatusFields) {
	const [sigQueued, sigQueueLimit] = fields.need("SigQ", (cursor) => {
		const queued = cursor.decimal();
		cursor.expect("/");
		return [queued, cursor.decimalBig()] as const;
	});
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
	};
}

function optionalFields(fields: StatusFields) {
	return {
		umask: fields.find("Umask", (cursor) => cursor.octal()),
		noNewPrivs: fields.flag("NoNewPrivs"),
		seccomp: fields.find("Seccomp", (cursor) => cursor.decimal()),
		seccompFilters: fields.find("Seccomp_filters", (cursor) => cursor.decimal()),
		thpEnabled: fields.flag("THP_enabled"),
		kthread: fields.flag("Kthread"),
		vmSizeKb: fields.kb("VmSize"),
		vmRssKb: fields.kb("VmRSS"),
		vmLckKb: fields.kb("VmLck"),
		hugetlbKb: fields.kb("HugetlbPages"),
		threadFeatures: (fields.lines.get("x86_Thread_features") ?? "").split(" ").filter((word) => word !== ""),
	};
}

/** Parses the text of /proc/PID/status. @throws CriuError PROC_PARSE. Source: proc_pid_status(5), fs/proc/array.c. */
export function parseStatus(bytes: Uint8Array, file = "status"): ProcStatus {
	const fields = new StatusFields(bytes, file);
	if (fields.name === undefined) throw procParseError(file, "Name is missing");
	return {
		name: fields.name,
		state: fields.need("State", (cursor) =>
			String.fromCharCode(cursor.peek() < 0 ? cursor.fail("no state") : cursor.peek()),
		),
		tgid: fields.number("Tgid"),
		pid: fields.number("Pid"),
		ppid: fields.number("PPid"),
		tracerPid: fields.number("TracerPid"),
		uid: fields.need("Uid", fourIds),
		gid: fields.need("Gid", fourIds),
		groups: fields.need("Groups", numberList),
		nsTgid: fields.find("NStgid", numberList) ?? [],
		nsPid: fields.find("NSpid", numberList) ?? [],
		nsPgid: fields.find("NSpgid", numberList) ?? [],
		nsSid: fields.find("NSsid", numberList) ?? [],
		threads: fields.number("Threads"),
		...signalsAndCapabilities(fields),
		...optionalFields(fields),
		all: fields.lines,
	};
}

/** Reads /proc/PID/status, or a thread's when `tid` is given. @throws KernelError, CriuError PROC_PARSE */
export function readStatus(pid: number | "self", procRoot = PROC_ROOT, tid?: number): ProcStatus {
	const path = tid === undefined ? `${procRoot}/${pid}/status` : `${procRoot}/${pid}/task/${tid}/status`;
	return parseStatus(readProcFile(path), path);
}
