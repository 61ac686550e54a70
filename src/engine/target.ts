// SPDX-License-Identifier: GPL-2.0-only
// The process that a user named: does it exist, and is it one that can be dumped at all.

import { backOff } from "../agent/tracee.ts";
import { CriuError, isErrno, UsageError } from "../errors.ts";
import { type ProcStat, readStat } from "../kernel/procfs/stat.ts";
import { readStatus } from "../kernel/procfs/status.ts";
import { makePrintable } from "../log.ts";
import type { Options } from "../options.ts";
import { findForeignTask } from "./foreign-task.ts";
import { findFrozenCgroup } from "./freeze-cgroup.ts";

/** At a zombie, within a few milliseconds. */
const LOOKS = 40;
const PF_KTHREAD = 0x00200000;
const decoder = new TextDecoder();

const isDead = ({ state, numThreads }: ProcStat) => (state === "Z" || state === "X") && numThreads < 2;

/** A process for messages: pid and name. */
export function describeProcess(stat: ProcStat): string {
	return `pid ${stat.pid} (${makePrintable(decoder.decode(stat.comm))})`;
}

/**
 * Looks at a target before anything is done to it.
 *
 * @throws UsageError NO_SUCH_PID, OWN_PID; CriuError CALLER_RIGHTS, ZOMBIE, KERNEL_THREAD, FROZEN
 */
export function readTarget(pid: number, options: Pick<Options, "freezeCgroup" | "onlyUser">): ProcStat {
	let stat: ProcStat;
	try {
		stat = readStat(pid);
		// A thread that executes a program takes the place of a leader that looks dead for an instant.
		for (let round = 0; round < LOOKS && isDead(stat); round++) {
			backOff(round);
			stat = readStat(pid);
		}
	} catch (error) {
		if (!isErrno(error, "ENOENT", "ESRCH")) throw error;
		throw new UsageError("NO_SUCH_PID", `pid ${pid} doesn't exist`, {
			cause: error,
			remedy: "check the pid given with -t",
		});
	}
	if (pid === process.pid)
		throw new UsageError("OWN_PID", `pid ${pid} is criu itself`, { remedy: "name the process to dump with -t PID" });
	if (options.onlyUser !== undefined) {
		const foreign = findForeignTask(pid, readStatus(pid), options.onlyUser);
		if (foreign !== undefined) throw foreign;
	}
	// One with living threads is refused for that reason, when it's looked at closely.
	if (isDead(stat))
		throw new CriuError(
			"ZOMBIE",
			`${describeProcess(stat)} is dead and waits for its parent (pid ${stat.ppid}) to take notice`,
			{
				remedy: "there's nothing to dump; dump the parent's tree to keep its exit status",
			},
		);
	if ((stat.flags & PF_KTHREAD) !== 0)
		throw new CriuError("KERNEL_THREAD", `${describeProcess(stat)} is a thread of the kernel`, {
			remedy: "only user processes can be dumped",
		});
	if (isAncestor(pid))
		throw new UsageError(
			"OWN_ANCESTOR",
			`${describeProcess(stat)} is an ancestor of criu: freezing it would freeze criu's own session`,
			{
				remedy: "start criu from somewhere else, as a process outside of that tree",
			},
		);
	if (options.freezeCgroup === undefined) refuseFrozen(stat);
	return stat;
}

/** What stands still already can't be brought into ptrace's hands. */
function refuseFrozen(stat: ProcStat): void {
	let cgroup: string | undefined;
	try {
		cgroup = findFrozenCgroup(stat.pid);
	} catch (error) {
		if (!isErrno(error, "ENOENT", "ESRCH")) throw error;
	}
	if (cgroup !== undefined)
		throw new CriuError("FROZEN", `${describeProcess(stat)} is frozen by the cgroup ${cgroup}`, {
			remedy: `name it with --freeze-cgroup ${cgroup}: it will be frozen again at the end; or thaw it`,
		});
}

/** True when criu runs below that process. */
function isAncestor(pid: number): boolean {
	let at = process.ppid;
	for (let depth = 0; at > 1 && depth < 4096; depth++) {
		if (at === pid) return true;
		try {
			at = readStat(at).ppid;
		} catch {
			return false;
		}
	}
	return at === pid && pid !== 0;
}
