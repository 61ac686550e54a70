// SPDX-License-Identifier: GPL-2.0-only
// The small files of /proc/PID: one value each.

import { asciiText, forEachLine, ProcCursor, procParseError } from "./parse.ts";
import { findProcFile, PROC_ROOT, readProcFile } from "./reader.ts";

type Pid = number | "self";

/** Runs a parser over a whole file. */
function readWith<T>(path: string, parse: (cursor: ProcCursor) => T): T {
	return parse(new ProcCursor(readProcFile(path), path));
}

function findWith<T>(path: string, parse: (cursor: ProcCursor) => T): T | undefined {
	const bytes = findProcFile(path);
	return bytes === undefined ? undefined : parse(new ProcCursor(bytes, path));
}

/** The arguments, raw: NUL-ended strings as the task's memory holds them now; empty for zombies and kernel threads. @throws KernelError */
export function readCmdline(pid: Pid, procRoot = PROC_ROOT): Uint8Array {
	return readProcFile(`${procRoot}/${pid}/cmdline`).slice();
}

/** The name of a process or thread, raw, at most 15 bytes for user tasks. @throws KernelError */
export function readComm(pid: Pid, procRoot = PROC_ROOT, tid?: number): Uint8Array {
	const bytes = readProcFile(tid === undefined ? `${procRoot}/${pid}/comm` : `${procRoot}/${pid}/task/${tid}/comm`);
	// Only the last byte is the kernel's newline: the name itself may hold others.
	return bytes.slice(0, Math.max(0, bytes.length - 1));
}

/** The execution domain, personality(2): hexadecimal text of eight digits, given as a number. @throws KernelError */
export function readPersonality(pid: Pid, procRoot = PROC_ROOT): number {
	return readWith(`${procRoot}/${pid}/personality`, (cursor) => cursor.hex());
}

/** -1000 to 1000. @throws KernelError */
export function readOomScoreAdj(pid: Pid, procRoot = PROC_ROOT): number {
	return readWith(`${procRoot}/${pid}/oom_score_adj`, (cursor) => cursor.integer());
}

/** The audit login id; 4294967295 when unset; undefined without CONFIG_AUDIT. @throws KernelError */
export function readLoginuid(pid: Pid, procRoot = PROC_ROOT): number | undefined {
	return findWith(`${procRoot}/${pid}/loginuid`, (cursor) => cursor.decimal());
}

/** The timer slack in nanoseconds; 0 for real-time tasks. @throws KernelError */
export function readTimerslackNs(pid: Pid, procRoot = PROC_ROOT): bigint {
	return readWith(`${procRoot}/${pid}/timerslack_ns`, (cursor) => cursor.decimalBig());
}

/** Which kinds of memory go into core files: a bit mask. @throws KernelError */
export function readCoredumpFilter(pid: Pid, procRoot = PROC_ROOT): number {
	return readWith(`${procRoot}/${pid}/coredump_filter`, (cursor) => cursor.hex());
}

/** The kernel function that the task sleeps in, raw; empty or `0` when running or hidden. @throws KernelError */
export function readWchan(pid: Pid, procRoot = PROC_ROOT): Uint8Array {
	return readProcFile(`${procRoot}/${pid}/wchan`).slice();
}

/** What /proc/PID/syscall shows of a task that isn't running. */
export interface BlockedSyscall {
	/** -1 when it's blocked outside a system call. */
	nr: number;
	/** Six arguments; empty when nr is -1. */
	args: bigint[];
	sp: bigint;
	pc: bigint;
}

/** Parses the text of /proc/PID/syscall; undefined for `running`. @throws CriuError PROC_PARSE. Source: proc_pid_syscall(5). */
export function parseSyscall(bytes: Uint8Array, file = "syscall"): BlockedSyscall | undefined {
	const cursor = new ProcCursor(bytes, file);
	if (cursor.startsWith("running")) return undefined;
	const nr = cursor.integer();
	const words: bigint[] = [];
	for (let i = nr === -1 ? 6 : 0; i < 8; i++) {
		cursor.expectText(" 0x");
		words.push(cursor.hexBig());
	}
	const pc = words.pop() ?? 0n;
	const sp = words.pop() ?? 0n;
	return { nr, args: words, sp, pc };
}

/** What system call a task sleeps in; undefined when running. @throws KernelError (ENOENT: not in this kernel) */
export function readSyscall(pid: Pid, procRoot = PROC_ROOT, tid?: number): BlockedSyscall | undefined {
	const path = tid === undefined ? `${procRoot}/${pid}/syscall` : `${procRoot}/${pid}/task/${tid}/syscall`;
	return parseSyscall(readProcFile(path), path);
}

/** A line of uid_map or gid_map: `count` ids from `inside` on are `outside` and following for the reader. */
export interface IdMapping {
	inside: number;
	outside: number;
	count: number;
}

/** Parses uid_map, gid_map or projid_map. @throws CriuError PROC_PARSE. Source: user_namespaces(7). */
export function parseIdMap(bytes: Uint8Array, file = "uid_map"): IdMapping[] {
	const out: IdMapping[] = [];
	forEachLine(bytes, file, (line) => {
		const next = (): number => {
			line.skipBlanks();
			return line.decimal();
		};
		if (!line.atEnd()) out.push({ inside: next(), outside: next(), count: next() });
	});
	return out;
}

/** The id mappings of a task's user namespace. @throws KernelError, CriuError PROC_PARSE */
export function readIdMap(pid: Pid, kind: "uid_map" | "gid_map", procRoot = PROC_ROOT): IdMapping[] {
	const path = `${procRoot}/${pid}/${kind}`;
	return parseIdMap(readProcFile(path), path);
}

/** Offset of one clock of a time namespace. */
export interface TimensOffset {
	clock: "monotonic" | "boottime";
	sec: bigint;
	nsec: bigint;
}

/** Parses timens_offsets; clocks may be written as names or numbers. @throws CriuError PROC_PARSE. Source: time_namespaces(7). */
export function parseTimensOffsets(bytes: Uint8Array, file = "timens_offsets"): TimensOffset[] {
	const out: TimensOffset[] = [];
	forEachLine(bytes, file, (line) => {
		if (line.atEnd()) return;
		const clock = CLOCKS.get(asciiText(line.word()));
		if (clock === undefined) throw procParseError(file, "a clock is unknown");
		line.skipBlanks();
		const sec = line.integerBig();
		line.skipBlanks();
		out.push({ clock, sec, nsec: line.integerBig() });
	});
	return out;
}

const CLOCKS: ReadonlyMap<string, TimensOffset["clock"]> = new Map([
	["monotonic", "monotonic"],
	["boottime", "boottime"],
	["1", "monotonic"],
	["7", "boottime"],
] as const);

/** The offsets of the time namespace that a task's children get. @throws KernelError */
export function readTimensOffsets(pid: Pid, procRoot = PROC_ROOT): TimensOffset[] {
	const path = `${procRoot}/${pid}/timens_offsets`;
	return parseTimensOffsets(readProcFile(path), path);
}
