// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/stat: one line, `pid (comm) state numbers…`. The comm is raw bytes and may hold anything, `) R 1 (` and newlines
// too; no field behind it can hold a `)`, so the last one ends it.

import { ProcCursor } from "./parse.ts";
import { PROC_ROOT, readProcFile } from "./reader.ts";

/** What /proc/PID/stat tells, under the names of proc_pid_stat(5). Addresses are 0 without the right to look (ptrace). */
export interface ProcStat {
	pid: number;
	/** Raw bytes, at most 15 for user tasks. */
	comm: Uint8Array;
	/** One letter: R S D T t Z X I P. */
	state: string;
	ppid: number;
	pgrp: number;
	session: number;
	/** Controlling terminal in the kernel's old encoding; 0 when none. */
	ttyNr: number;
	/** Foreground process group of the terminal; -1 when none. */
	tpgid: number;
	/** PF_* bits. */
	flags: number;
	minflt: bigint;
	cminflt: bigint;
	majflt: bigint;
	cmajflt: bigint;
	/** Times in clock ticks (AT_CLKTCK, 100 a second). */
	utime: bigint;
	stime: bigint;
	cutime: bigint;
	cstime: bigint;
	priority: number;
	nice: number;
	numThreads: number;
	/** Clock ticks since boot, in the reader's time namespace. */
	starttime: bigint;
	vsize: bigint;
	rss: bigint;
	rsslim: bigint;
	startCode: bigint;
	endCode: bigint;
	startStack: bigint;
	kstkesp: bigint;
	kstkeip: bigint;
	exitSignal: number;
	processor: number;
	rtPriority: number;
	policy: number;
	delayacctBlkioTicks: bigint;
	guestTime: bigint;
	cguestTime: bigint;
	startData: bigint;
	endData: bigint;
	startBrk: bigint;
	argStart: bigint;
	argEnd: bigint;
	envStart: bigint;
	envEnd: bigint;
	/** Raw wait status; 0 unless the task is a zombie and the reader may look. */
	exitCode: number;
}

/** Reads the fields one after another; each is preceded by one space. */
class FieldReader {
	constructor(private readonly cursor: ProcCursor) {}

	number(): number {
		this.cursor.expect(" ");
		return this.cursor.integer();
	}

	big(): bigint {
		this.cursor.expect(" ");
		return this.cursor.integerBig();
	}
}

type Head = Pick<ProcStat, "pid" | "comm" | "state">;

function parseHead(bytes: Uint8Array, cursor: ProcCursor): Head {
	const pid = cursor.decimal();
	cursor.expectText(" (");
	const close = bytes.lastIndexOf(0x29);
	if (close < cursor.pos) cursor.fail("the name's end is missing");
	const comm = bytes.slice(cursor.pos, close);
	cursor.pos = close + 1;
	cursor.expect(" ");
	const state = cursor.peek();
	if (state < 0x41 || state > 0x7a) cursor.fail("the state is missing");
	cursor.pos++;
	return { pid, comm, state: String.fromCharCode(state) };
}

/** Fields 4 to 24: relations, usage, schedule. */
function parseUsage(f: FieldReader) {
	const relations = {
		ppid: f.number(),
		pgrp: f.number(),
		session: f.number(),
		ttyNr: f.number(),
		tpgid: f.number(),
		flags: f.number(),
	};
	const times = {
		minflt: f.big(),
		cminflt: f.big(),
		majflt: f.big(),
		cmajflt: f.big(),
		utime: f.big(),
		stime: f.big(),
		cutime: f.big(),
		cstime: f.big(),
	};
	const schedule = { priority: f.number(), nice: f.number(), numThreads: f.number() };
	f.big(); // itrealvalue: always 0
	return { ...relations, ...times, ...schedule, starttime: f.big(), vsize: f.big(), rss: f.big() };
}

/** Fields 25 to 52: layout of the memory, scheduler, exit. */
function parseLayout(f: FieldReader) {
	const text = { rsslim: f.big(), startCode: f.big(), endCode: f.big(), startStack: f.big() };
	const stopped = { kstkesp: f.big(), kstkeip: f.big() };
	// signal, blocked, sigignore, sigcatch, wchan, nswap, cnswap: 31-bit or dead; status.ts has the real masks
	for (let i = 0; i < 7; i++) f.big();
	const cpu = { exitSignal: f.number(), processor: f.number(), rtPriority: f.number(), policy: f.number() };
	const waits = { delayacctBlkioTicks: f.big(), guestTime: f.big(), cguestTime: f.big() };
	const data = { startData: f.big(), endData: f.big(), startBrk: f.big() };
	const strings = { argStart: f.big(), argEnd: f.big(), envStart: f.big(), envEnd: f.big() };
	return { ...text, ...stopped, ...cpu, ...waits, ...data, ...strings, exitCode: f.number() };
}

/** Parses the text of /proc/PID/stat. @throws CriuError PROC_PARSE. Source: proc_pid_stat(5), fs/proc/array.c:do_task_stat. */
export function parseStat(bytes: Uint8Array, file = "stat"): ProcStat {
	const cursor = new ProcCursor(bytes, file);
	const head = parseHead(bytes, cursor);
	const fields = new FieldReader(cursor);
	const usage = parseUsage(fields);
	return { ...head, ...usage, ...parseLayout(fields) };
}

/** Reads /proc/PID/stat, or a thread's when `tid` is given. @throws KernelError, CriuError PROC_PARSE */
export function readStat(pid: number | "self", procRoot = PROC_ROOT, tid?: number): ProcStat {
	const path = tid === undefined ? `${procRoot}/${pid}/stat` : `${procRoot}/${pid}/task/${tid}/stat`;
	return parseStat(readProcFile(path), path);
}
