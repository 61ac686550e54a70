// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/timers: the POSIX timers of a process, four lines each. Times aren't there: the task itself must ask for them.

import { asciiText, ProcCursor } from "./parse.ts";
import { findProcFile, PROC_ROOT } from "./reader.ts";

/** One POSIX timer. */
export interface PosixTimerFacts {
	/** The kernel's timer id. */
	id: number;
	signo: number;
	sivalPtr: bigint;
	/** How it notifies: SIGEV_* without the SIGEV_THREAD_ID bit. */
	notify: "signal" | "none" | "thread";
	/** True when it's directed at one thread (SIGEV_THREAD_ID). */
	toThread: boolean;
	/** The thread or process notified, in the reader's pid namespace. */
	pid: number;
	/** May be negative: CPU clocks and clock descriptors. */
	clockId: number;
}

function parseNotify(cursor: ProcCursor): Pick<PosixTimerFacts, "notify" | "toThread" | "pid"> {
	cursor.expectText("notify: ");
	const text = asciiText(cursor.restOfLine());
	const match = /^(signal|none|thread)\/(pid|tid)\.(\d{1,10})$/.exec(text);
	if (match === null) cursor.fail("the notification is unknown");
	return { notify: match[1] as PosixTimerFacts["notify"], toThread: match[2] === "tid", pid: Number(match[3]) };
}

/** The timers in the kernel's order. @throws CriuError PROC_PARSE. Source: proc_pid_timers(5), fs/proc/base.c:show_timer. */
export function parseTimers(bytes: Uint8Array, file = "timers"): PosixTimerFacts[] {
	const timers: PosixTimerFacts[] = [];
	const cursor: ProcCursor = new ProcCursor(bytes, file);
	while (!cursor.atEnd()) {
		cursor.expectText("ID: ");
		const id = cursor.decimal();
		cursor.expectText("\nsignal: ");
		const signo = cursor.decimal();
		cursor.expect("/");
		const sivalPtr = parsePointer(cursor);
		cursor.expect("\n");
		const target = parseNotify(cursor);
		cursor.expectText("ClockID: ");
		const clockId = cursor.integer();
		cursor.skipLine();
		timers.push({ id, signo, sivalPtr, ...target, clockId });
	}
	return timers;
}

/** A pointer as %px writes it, and `(null)` of older kernels. */
function parsePointer(cursor: ProcCursor): bigint {
	if (!cursor.startsWith("(null)")) return cursor.hexBig();
	cursor.expectText("(null)");
	return 0n;
}

/** The POSIX timers of a process; undefined when the kernel has no such file. @throws KernelError, CriuError PROC_PARSE */
export function readTimers(pid: number | "self", procRoot = PROC_ROOT): PosixTimerFacts[] | undefined {
	const path = `${procRoot}/${pid}/timers`;
	const bytes = findProcFile(path);
	return bytes === undefined ? undefined : parseTimers(bytes, path);
}
