// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/limits: a table with a name, soft and hard limit and unit per line.

import { syscall } from "../../sys/host.ts";
import { RLIM_NLIMITS, RLIM64_INFINITY } from "../abi/resource.ts";
import { SYS_prlimit64 } from "../abi/syscalls.x86_64.ts";
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
	forEachLine(bytes, file, (line) => {
		const index = LINE_NAMES.findIndex((name) => line.startsWith(`${name} `));
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

/** The limits by prlimit(2), which may not be allowed for tasks of other users. */
function askLimits(pid: number): Rlimit[] | undefined {
	const limits: Rlimit[] = [];
	const answer = new BigUint64Array(2);
	for (let resource = 0; resource < RLIM_NLIMITS; resource++) {
		if (syscall(SYS_prlimit64, pid, resource, 0, answer) < 0) return undefined;
		limits.push({ cur: answer[0] ?? 0n, max: answer[1] ?? 0n });
	}
	return limits;
}

/** The limits of a task. @throws KernelError, CriuError PROC_PARSE */
export function readLimits(pid: number | "self", procRoot = PROC_ROOT): Rlimit[] {
	const asked = procRoot === PROC_ROOT ? askLimits(pid === "self" ? 0 : pid) : undefined;
	if (asked !== undefined) return asked;
	const path = `${procRoot}/${pid}/limits`;
	return parseLimits(readProcFile(path), path);
}
