// SPDX-License-Identifier: GPL-2.0-only
// File locks as /proc/locks and the `lock:` lines of fdinfo show them:
// `id: [->] kind mode access pid major:minor:inode start end`.

import { asciiText, forEachLine, type ProcCursor } from "./parse.ts";
import { PROC_ROOT, readProcFile } from "./reader.ts";

export interface FileLock {
	/** Running number; a blocked lock repeats the one it waits for. */
	id: number;
	/** True for a request that waits for the lock of the same id. */
	blocked: boolean;
	/** POSIX, FLOCK, OFDLCK, LEASE, DELEG, LAYOUT, ACCESS. */
	kind: string;
	/** ADVISORY, MANDATORY, *NOINODE*, MSNFS; for leases ACTIVE, BREAKING, BREAKER. */
	mode: string;
	/** READ, WRITE, UNLCK, RW, NONE. */
	access: string;
	/** Owner in the reader's pid namespace; -1 for OFD locks, 0 when it isn't visible. */
	pid: number;
	/** Undefined when the kernel writes `<none>`. */
	device: { major: number; minor: number } | undefined;
	ino: bigint;
	start: bigint;
	/** Last byte; undefined for EOF. */
	end: bigint | undefined;
}

function word(line: ProcCursor): string {
	line.skipBlanks();
	const text = asciiText(line.word());
	if (text === "") line.fail("a word is missing");
	return text;
}

function parseDevice(line: ProcCursor): FileLock["device"] {
	line.skipBlanks();
	if (line.startsWith("<none>")) {
		line.expectText("<none>:");
		return undefined;
	}
	const major = line.hex();
	line.expect(":");
	const minor = line.hex();
	line.expect(":");
	return { major, minor };
}

/** Parses one lock from the position to the line's end. @throws CriuError PROC_PARSE. Source: fs/locks.c:lock_get_status. */
export function parseLockLine(line: ProcCursor): FileLock {
	line.skipBlanks();
	const id = line.decimal();
	line.expect(":");
	line.skipBlanks();
	// Waiters of waiters are indented further.
	const blocked = line.startsWith("->");
	if (blocked) line.pos += 2;
	const kind = word(line);
	const mode = word(line);
	const access = word(line);
	line.skipBlanks();
	const pid = line.integer();
	const device = parseDevice(line);
	const ino = line.decimalBig();
	line.skipBlanks();
	const start = line.integerBig();
	line.skipBlanks();
	const toEnd = line.startsWith("EOF");
	return { id, blocked, kind, mode, access, pid, device, ino, start, end: toEnd ? undefined : line.integerBig() };
}

/** Parses the text of /proc/locks. @throws CriuError PROC_PARSE. Source: proc_locks(5). */
export function parseLocks(bytes: Uint8Array, file = "locks"): FileLock[] {
	const locks: FileLock[] = [];
	forEachLine(bytes, file, (line) => {
		if (!line.atEnd()) locks.push(parseLockLine(line));
	});
	return locks;
}

/** All locks that the reader's pid namespace can see. @throws KernelError, CriuError PROC_PARSE */
export function readLocks(procRoot = PROC_ROOT): FileLock[] {
	const path = `${procRoot}/locks`;
	return parseLocks(readProcFile(path), path);
}
