// SPDX-License-Identifier: GPL-2.0-only
// Who has a pid that a restore needs.

import { CriuError, isErrno } from "../errors.ts";
import { SIGKILL, signalBit } from "../kernel/abi/signal.ts";
import { type ProcStat, readStat } from "../kernel/procfs/stat.ts";
import { readStatus } from "../kernel/procfs/status.ts";
import { listProcesses, listThreads } from "../kernel/procfs/tasks.ts";
import { describeProcess } from "./target.ts";

/** How long we wait for init to reap those who have ended already: some do so only now and then. */
const REAP_MS = 10_000;
/** The kernel frees the number of a process that has ended a little after nothing else shows it any more. */
const FREE_MS = 2000;
/** One that seems to live on may be just between being killed and ending, or its parent about to reap it. */
const LOOK_AGAIN_MS = 100;
const LOOK_MS = 10;
const KILLED = signalBit(SIGKILL);
const INIT = 1;

/** Who has a number, and as what. */
interface Holder {
	readonly stat: ProcStat;
	readonly as: string;
}

/** True for one that is about to end, or an orphan that has ended and that init has yet to reap: both pass by themselves. */
function isGoing({ stat }: Holder): boolean {
	if (stat.state === "Z") return stat.ppid === INIT;
	if (stat.vsize === 0n) return true; // It has given up its memory.
	try {
		const { sigPnd, shdPnd } = readStatus(stat.pid);
		return ((sigPnd | shdPnd) & KILLED) !== 0n;
	} catch {
		return true;
	}
}

function* listHolders(pid: number): Generator<Holder> {
	try {
		yield { stat: readStat(pid), as: "" };
	} catch {
		// Not a process: a thread, or only the name of a group or session.
	}
	for (const other of listProcesses()) {
		try {
			const stat = readStat(other);
			if (stat.pgrp === pid) yield { stat, as: "the process group of " };
			if (stat.session === pid) yield { stat, as: "the session of " };
			if (other !== pid && listThreads(other).includes(pid)) yield { stat, as: "a thread of " };
		} catch {
			// Gone meanwhile.
		}
	}
}

/** Who holds a number as pid, thread, group or session: one that won't go by itself, if there's one; undefined when none is found. */
function findPidHolder(pid: number): Holder | undefined {
	let going: Holder | undefined;
	for (const holder of listHolders(pid)) {
		if (!isGoing(holder)) return holder;
		going ??= holder;
	}
	return going;
}

function describeHolder({ stat, as }: Holder): string {
	const zombie = stat.state === "Z" ? `, a zombie that its parent (pid ${stat.ppid}) hasn't reaped` : "";
	return `${as}${describeProcess(stat)}${zombie}`;
}

/** The error for a pid that can't be had. */
function pidTakenError(pid: number, cause: unknown, found = findPidHolder(pid)): CriuError {
	const holder = found === undefined ? "a process that has just ended" : describeHolder(found);
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
 * After an attempt at a process of that pid that failed at `began` + some time: waits while its number becomes free by itself, which
 * is so when all who have it have ended.
 *
 * @throws CriuError PID_TAKEN, PID_RANGE, or the failure when that has another reason
 */
export function awaitPid(pid: number, failure: unknown, began: number): void {
	if (isErrno(failure, "EINVAL"))
		throw new CriuError("PID_RANGE", `pid ${pid} can't be had on this system`, {
			cause: failure,
			remedy: "raise kernel.pid_max (sysctl)",
		});
	if (!isTaken(failure)) throw failure;
	const holder = findPidHolder(pid);
	const patience = holder === undefined ? FREE_MS : isGoing(holder) ? REAP_MS : LOOK_AGAIN_MS;
	if (performance.now() >= began + patience) throw pidTakenError(pid, failure, holder);
	Bun.sleepSync(holder === undefined ? 1 : LOOK_MS);
}

/** Runs what makes a process of that pid until it can be had. @throws CriuError PID_TAKEN, PID_RANGE; see awaitPid */
export function takingPid<T>(pid: number, make: () => T): T {
	const began = performance.now();
	for (;;) {
		try {
			return make();
		} catch (error) {
			awaitPid(pid, error, began);
		}
	}
}
