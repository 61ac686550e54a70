// SPDX-License-Identifier: GPL-2.0-only
// Who has a pid that a restore needs.

import { CriuError, isErrno } from "../errors.ts";
import { readStat } from "../kernel/procfs/stat.ts";
import { listProcesses, listThreads } from "../kernel/procfs/tasks.ts";
import { describeProcess } from "./target.ts";

/** Names the process that holds a number as pid, thread, group or session; undefined when none is found. */
function findPidHolder(pid: number): string | undefined {
	try {
		const stat = readStat(pid);
		return stat.state === "Z"
			? `${describeProcess(stat)}, a zombie that its parent (pid ${stat.ppid}) hasn't reaped`
			: describeProcess(stat);
	} catch {
		// Not a process: a thread, or only the name of a group or session.
	}
	for (const other of listProcesses()) {
		try {
			const stat = readStat(other);
			if (stat.pgrp === pid) return `the process group of ${describeProcess(stat)}`;
			if (stat.session === pid) return `the session of ${describeProcess(stat)}`;
			if (listThreads(other).includes(pid)) return `a thread of ${describeProcess(stat)}`;
		} catch {
			// Gone meanwhile.
		}
	}
	return undefined;
}

/** The error for a pid that can't be had. */
export function pidTakenError(pid: number, cause: unknown): CriuError {
	const holder = findPidHolder(pid) ?? "a process that has just ended";
	return new CriuError("PID_TAKEN", `pid ${pid} is taken by ${holder}`, {
		cause,
		remedy: "end that process, or restore with --new-pidns into a pid namespace of its own",
	});
}

/** True when an operation or call failed because a pid is in use. */
export function isTaken(error: unknown): boolean {
	if (isErrno(error, "EEXIST")) return true;
	return error instanceof CriuError && error.code === "AGENT_OP" && isErrno(error.cause, "EEXIST");
}

/**
 * Runs what makes a process of that pid. The kernel frees the number of a process that has ended a little after nothing else shows
 * it any more: for `patienceMs` that is waited for.
 *
 * @throws CriuError PID_TAKEN, PID_RANGE
 */
export function takingPid<T>(pid: number, make: () => T, patienceMs = 0): T {
	const until = performance.now() + patienceMs;
	for (;;) {
		try {
			return make();
		} catch (error) {
			const isTakenNow = isTaken(error);
			if (isTakenNow && (performance.now() >= until || findPidHolder(pid) !== undefined))
				throw pidTakenError(pid, error);
			if (isErrno(error, "EINVAL"))
				throw new CriuError("PID_RANGE", `pid ${pid} can't be had on this system`, {
					cause: error,
					remedy: "raise kernel.pid_max (sysctl)",
				});
			if (!isTakenNow) throw error;
		}
		Bun.sleepSync(1);
	}
}
