// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/limits: a table with a name, soft and hard limit and unit per line.

import { RLIM_NLIMITS, RLIM64_INFINITY } from "../abi/resource.ts";
import { forEachLine, type ProcCursor, procParseError } from "./parse.ts";
import { PROC_ROOT, readProcFile } from "./reader.ts";

/** A limit; RLIM64_INFINITY (2^64 - 1) when unlimited. */
export interface Rlimit {
	cur: bigint;
	max: bigint;
}

/** The kernel's names (fs/proc/base.c:lnames) by limit number. */
const LINE_NAMES = [
	"Max cpu time",
	"Max file size",
	"Max data size",
	"Max stack size",
	"Max core file size",
	"Max resident set",
	"Max processes",
	"Max open files",
	"Max locked memory",
	"Max address space",
	"Max file locks",
	"Max pending signals",
	"Max msgqueue size",
	"Max nice priority",
	"Max realtime priority",
	"Max realtime timeout",
];

function parseLimit(line: ProcCursor): bigint {
	line.skipBlanks();
	if (!line.startsWith("unlimited")) return line.decimalBig();
	line.expectText("unlimited");
	return RLIM64_INFINITY;
}

/** The 16 limits, index = RLIMIT number. @throws CriuError PROC_PARSE. Source: proc_pid_limits(5). */
export function parseLimits(bytes: Uint8Array, file = "limits"): Rlimit[] {
	const limits = new Array<Rlimit | undefined>(RLIM_NLIMITS).fill(undefined);
	let next = 0;
	forEachLine(bytes, file, (line) => {
		// They come in this order.
		const isNext = line.startsWith(`${LINE_NAMES[next]} `);
		const index = isNext ? next : LINE_NAMES.findIndex((name) => line.startsWith(`${name} `));
		if (index >= 0) next = index + 1;
		const name = LINE_NAMES[index];
		if (name === undefined) return;
		line.pos += name.length;
		limits[index] = { cur: parseLimit(line), max: parseLimit(line) };
	});
	return limits.map((limit, index) => {
		if (limit === undefined) throw procParseError(file, `"${LINE_NAMES[index]}" is missing`);
		return limit;
	});
}

/** What was read last: most tasks of a tree have the same limits. */
let last: { readonly bytes: Uint8Array; readonly limits: readonly Rlimit[] } | undefined;

/** The limits of a task. @throws KernelError, CriuError PROC_PARSE */
export function readLimits(pid: number | "self", procRoot = PROC_ROOT): readonly Rlimit[] {
	const path = `${procRoot}/${pid}/limits`;
	const bytes = readProcFile(path);
	if (last === undefined || Buffer.compare(last.bytes, bytes) !== 0)
		last = { bytes: bytes.slice(), limits: parseLimits(bytes, path) };
	return last.limits;
}
