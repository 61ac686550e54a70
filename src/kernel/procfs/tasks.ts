// SPDX-License-Identifier: GPL-2.0-only
// Which threads, children and descriptors a process has: directories of /proc/PID and the children files.

import { readdirSync } from "node:fs";
import { statPath } from "../../sys/file.ts";
import { ProcCursor } from "./parse.ts";
import { PROC_ROOT, readProcFile, withKernelErrors } from "./reader.ts";

/** The entries of a directory that are decimal numbers, ascending. @throws KernelError */
function numericEntries(path: string): number[] {
	const out: number[] = [];
	for (const name of withKernelErrors(path, () => readdirSync(path))) {
		if (/^\d{1,10}$/.test(name)) out.push(Number(name));
	}
	return out.sort((a, b) => a - b);
}

/** The thread ids of a process, ascending; the leader's is its pid. Not atomic: threads may come and go. @throws KernelError */
export function listThreads(pid: number | "self", procRoot = PROC_ROOT): number[] {
	return numericEntries(`${procRoot}/${pid}/task`);
}

/** How many threads a process has at this instant, dead ones that nobody has reaped included. @throws KernelError */
export function countThreads(pid: number, procRoot = PROC_ROOT): number {
	return statPath(`${procRoot}/${pid}/task`).nlink - 2;
}

/** The open descriptors of a process, ascending. For "self" the one that reads the directory is among them. @throws KernelError */
export function listFds(pid: number | "self", procRoot = PROC_ROOT, tid?: number): number[] {
	return numericEntries(tid === undefined ? `${procRoot}/${pid}/fd` : `${procRoot}/${pid}/task/${tid}/fd`);
}

/** All process ids that this mount of proc shows, ascending. @throws KernelError */
export function listProcesses(procRoot = PROC_ROOT): number[] {
	return numericEntries(procRoot);
}

/** Decimal numbers divided by blanks, as the children files hold them. @throws CriuError PROC_PARSE */
export function parseChildren(bytes: Uint8Array, file = "children"): number[] {
	const cursor = new ProcCursor(bytes, file);
	const out: number[] = [];
	for (;;) {
		cursor.skipBlanks();
		if (cursor.atEnd() || cursor.accept("\n")) return out;
		out.push(cursor.decimal());
	}
}

/** The children that one thread made, in order of birth. Exact only while they're all stopped. @throws KernelError */
export function listThreadChildren(pid: number | "self", tid: number, procRoot = PROC_ROOT): number[] {
	const path = `${procRoot}/${pid}/task/${tid}/children`;
	return parseChildren(readProcFile(path), path);
}

/** The children of all threads of a process: by thread, then in order of birth. @throws KernelError, CriuError PROC_PARSE */
export function listChildren(pid: number | "self", procRoot = PROC_ROOT): number[] {
	const out: number[] = [];
	for (const tid of listThreads(pid, procRoot)) out.push(...listThreadChildren(pid, tid, procRoot));
	return out;
}
