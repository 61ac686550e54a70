// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/fdinfo/N: what every descriptor has (pos, flags, mnt_id, ino, locks), and the lines that some kinds of file add.
// fdinfo-kinds.ts parses the latter.

import { type FdinfoKind, fdinfoKind, KindCollector } from "./fdinfo-kinds.ts";
import { type FileLock, parseLockLine } from "./locks.ts";
import { asciiText, forEachLine, procParseError } from "./parse.ts";
import { PROC_ROOT, readProcFile } from "./reader.ts";

export type { FdinfoKind } from "./fdinfo-kinds.ts";

/** What one fdinfo file tells. */
export interface Fdinfo {
	/** File offset; for some devices beyond 2^63, then negative. */
	pos: bigint;
	/** Open flags with O_CLOEXEC of the descriptor mixed in. */
	flags: number;
	mntId: number;
	/** Inode number. Since: 5.14; undefined before. */
	ino: bigint | undefined;
	locks: FileLock[];
	/** What the kind of file adds. */
	kind: FdinfoKind;
	/** Lines of kinds that aren't known here, text by key, in order (bpf, io_uring, tun, …). */
	extra: ReadonlyMap<string, readonly string[]>;
}

interface Common {
	pos?: bigint;
	flags?: number;
	mntId?: number;
	ino?: bigint;
}

/** Parses the text of one fdinfo file. @throws CriuError PROC_PARSE. Source: proc_pid_fdinfo(5), fs/proc/fd.c:seq_show. */
export function parseFdinfo(bytes: Uint8Array, file = "fdinfo"): Fdinfo {
	const common: Common = {};
	const locks: FileLock[] = [];
	const extra = new Map<string, string[]>();
	const collector = new KindCollector();
	forEachLine(bytes, file, (line) => {
		if (line.atEnd()) return;
		const start = line.pos;
		const colon = line.find(0x3a);
		const end = colon < 0 ? line.end : colon;
		const key = asciiText(bytes.subarray(start, end));
		line.pos = Math.min(end + 1, line.end);
		line.skipBlanks();
		if (key === "pos" && common.pos === undefined) common.pos = line.integerBig();
		else if (key === "flags" && common.flags === undefined) common.flags = line.octal();
		else if (key === "mnt_id" && common.mntId === undefined) common.mntId = line.integer();
		else if (key === "ino" && common.ino === undefined) common.ino = line.decimalBig();
		else if (key === "lock") locks.push(parseLockLine(line));
		else if (!collector.take(key, line, start)) {
			const text = asciiText(bytes.subarray(line.pos, line.end));
			const known = extra.get(key);
			if (known === undefined) extra.set(key, [text]);
			else known.push(text);
		}
	});
	const { pos, flags, mntId, ino } = common;
	if (pos === undefined || flags === undefined) throw procParseError(file, "pos or flags is missing");
	return { pos, flags, mntId: mntId ?? -1, ino, locks, kind: fdinfoKind(collector, file), extra };
}

/** What most files have and no more, and an event counter besides. */
const COMMON_TEXT = /pos:\t(\d{1,20})\nflags:\t0([0-7]{1,10})\nmnt_id:\t(\d{1,10})\nino:\t(\d{1,20})\n/y;
const EVENTFD_TEXT = /eventfd-count: {1,16}([0-9a-f]{1,16})\neventfd-id: (\d{1,10})\neventfd-semaphore: ([01])\n/y;
/** What unix sockets have besides: how many files are on their way through them. */
const UNIX_TEXT = /scm_fds: (\d{1,10})\n/y;
const UNIX_EXTRA: Fdinfo["extra"] = new Map([["scm_fds", ["0"]]]);
const PLAIN: FdinfoKind = { type: "plain" };
const NO_EXTRA: Fdinfo["extra"] = new Map();

/**
 * The same for text that has been read with that of many others: what's usual is recognised as a whole. `bytes` gives the same
 * as bytes, `text` each byte as a letter. @throws CriuError PROC_PARSE
 */
export function parseFdinfoText(
	text: string,
	at: number,
	end: number,
	bytes: () => Uint8Array,
	file = "fdinfo",
): Fdinfo {
	COMMON_TEXT.lastIndex = at;
	const common = COMMON_TEXT.exec(text);
	if (common === null || COMMON_TEXT.lastIndex > end) return parseFdinfo(bytes(), file);
	let kind = PLAIN;
	let extra = NO_EXTRA;
	UNIX_TEXT.lastIndex = COMMON_TEXT.lastIndex;
	if (COMMON_TEXT.lastIndex < end && UNIX_TEXT.exec(text)?.[1] === "0" && UNIX_TEXT.lastIndex === end)
		extra = UNIX_EXTRA;
	else if (COMMON_TEXT.lastIndex < end) {
		EVENTFD_TEXT.lastIndex = COMMON_TEXT.lastIndex;
		const counter = EVENTFD_TEXT.exec(text);
		if (counter === null || EVENTFD_TEXT.lastIndex !== end) return parseFdinfo(bytes(), file);
		const count = BigInt(`0x${counter[1]}`);
		kind = { type: "eventfd", count, id: Number(counter[2]), semaphore: counter[3] === "1" };
	}
	const [, pos = "", flags = "", mntId, ino = ""] = common;
	return {
		pos: pos === "0" ? 0n : BigInt(pos),
		flags: Number.parseInt(flags, 8),
		mntId: Number(mntId),
		ino: BigInt(ino),
		locks: [],
		kind,
		extra,
	};
}

/** Reads the fdinfo of a descriptor. @throws KernelError (ENOENT when it's closed), CriuError PROC_PARSE */
export function readFdinfo(pid: number | "self", fd: number, procRoot = PROC_ROOT): Fdinfo {
	const path = `${procRoot}/${pid}/fdinfo/${fd}`;
	return parseFdinfo(readProcFile(path), path);
}
