// SPDX-License-Identifier: GPL-2.0-only
// Why a task doesn't stop: what it sits in, as far as /proc tells. Source: proc_pid_syscall(5), vfork(2), clone(2).

import { CriuError } from "../errors.ts";
import { SYS_clone, SYS_clone3, SYS_vfork, syscallName } from "../kernel/abi/syscalls.x86_64.ts";
import { readProcFile } from "../kernel/procfs/reader.ts";
import { listThreadChildren } from "../kernel/procfs/tasks.ts";
import { compareKernel, KCMP_VM, readMemory } from "../sys/process.ts";

const CLONE_VFORK = 0x4000n;

/** Number and arguments of the call that a task sleeps in; undefined when it runs or nobody may look. */
function findCall(tid: number): { nr: number; args: bigint[] } | undefined {
	try {
		const text = Buffer.from(readProcFile(`/proc/${tid}/syscall`)).toString("latin1");
		const found = /^(\d+) (.*)/.exec(text);
		if (found === null) return undefined;
		const [, nr, rest = ""] = found;
		return { nr: Number(nr), args: rest.split(" ").map(BigInt) };
	} catch {
		return undefined;
	}
}

function waitsForChild(tid: number, { nr, args }: { nr: number; args: bigint[] }): boolean {
	if (nr === SYS_vfork) return true;
	const [first = 0n] = args;
	if (nr === SYS_clone) return (first & CLONE_VFORK) !== 0n;
	if (nr !== SYS_clone3) return false;
	try {
		const flags = new DataView(readMemory(tid, first, 8).buffer).getBigUint64(0, true);
		return (flags & CLONE_VFORK) !== 0n;
	} catch {
		return false;
	}
}

/** The child that uses its parent's memory until it executes a program. */
function findBorrower(tid: number): number | undefined {
	try {
		return listThreadChildren(tid, tid).find((child) => compareKernel(tid, child, KCMP_VM) === 0);
	} catch {
		return undefined;
	}
}

/** True while a thread waits in vfork: only its child's end, or the program that this executes, lets it stop. */
export function waitsInVfork(tid: number): boolean {
	const call = findCall(tid);
	return call !== undefined && waitsForChild(tid, call);
}

/** What keeps a task from stopping, with the task as the sentence's subject: "it sits in …". */
export function whyRunning(tid: number): { why: string; until: string } {
	const call = findCall(tid);
	if (call !== undefined && waitsForChild(tid, call)) {
		const child = findBorrower(tid);
		const whose = child === undefined ? "" : `, pid ${child},`;
		return {
			why: `it waits in vfork until its child${whose} executes a program or ends`,
			until: "try again when it has",
		};
	}
	const where = call === undefined ? "an uninterruptible call" : `${syscallName(call.nr)} and can't be interrupted`;
	return { why: `it sits in ${where}`, until: "wait until its I/O is done" };
}

/** The error for a task that was asked to stop and didn't. */
export function stopTimeout(tid: number): CriuError {
	const { why, until } = whyRunning(tid);
	return new CriuError("STOP_TIMEOUT", `task ${tid} didn't stop in time: ${why}`, {
		remedy: `${until}, or give it longer with --timeout SECONDS`,
	});
}
