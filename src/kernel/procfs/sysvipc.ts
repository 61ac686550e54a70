// SPDX-License-Identifier: GPL-2.0-only
// /proc/sysvipc: the System V objects of the reader's IPC namespace, one line each. Source: proc_sysvipc(5), ipc/shm.c, ipc/sem.c.

import { asciiText, procParseError } from "./parse.ts";
import { PROC_ROOT, readProcFile } from "./reader.ts";

/** A shared memory segment. */
export interface ShmLine {
	readonly key: number;
	readonly id: number;
	readonly size: bigint;
	/** As the reader sees it; 0 when it's gone. */
	readonly creator: number;
	readonly attached: number;
}

/** A set of semaphores. */
export interface SemLine {
	readonly key: number;
	readonly id: number;
	/** Number of semaphores. */
	readonly count: number;
	/** When an operation last succeeded, in seconds; 0 before the first one. */
	readonly operated: bigint;
}

function parseLines(bytes: Uint8Array, file: string, least: number): string[][] {
	const lines = asciiText(bytes).split("\n").slice(1);
	return lines.flatMap((line) => {
		const words = line.trim().split(/\s+/);
		if (words[0] === "") return [];
		if (words.length < least || !words.every((word) => /^-?\d+$/.test(word)))
			throw procParseError(file, "a line that isn't made of numbers");
		return [words];
	});
}

/** @throws CriuError PROC_PARSE */
export function parseSysvShm(bytes: Uint8Array, file = "shm"): ShmLine[] {
	return parseLines(bytes, file, 7).map(([key, id, , size = "0", creator, , attached]) => ({
		key: Number(key) | 0,
		id: Number(id),
		size: BigInt(size),
		creator: Number(creator),
		attached: Number(attached),
	}));
}

/** @throws CriuError PROC_PARSE */
export function parseSysvSem(bytes: Uint8Array, file = "sem"): SemLine[] {
	return parseLines(bytes, file, 9).map(([key, id, , count, , , , , operated = "0"]) => ({
		key: Number(key) | 0,
		id: Number(id),
		count: Number(count),
		operated: BigInt(operated),
	}));
}

/** All segments of our IPC namespace. @throws KernelError, CriuError PROC_PARSE */
export function readSysvShm(procRoot = PROC_ROOT): ShmLine[] {
	return parseSysvShm(readProcFile(`${procRoot}/sysvipc/shm`), `${procRoot}/sysvipc/shm`);
}

/** All semaphore sets of our IPC namespace. @throws KernelError, CriuError PROC_PARSE */
export function readSysvSem(procRoot = PROC_ROOT): SemLine[] {
	return parseSysvSem(readProcFile(`${procRoot}/sysvipc/sem`), `${procRoot}/sysvipc/sem`);
}
