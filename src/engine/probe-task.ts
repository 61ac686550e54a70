// SPDX-License-Identifier: GPL-2.0-only
// Probes that need another process: a child that only waits, is asked, and killed.

import { readFileSync } from "node:fs";
import { askIa32Process } from "../agent/ia32-process.ts";
import { errnoName } from "../kernel/abi/errno.ts";
import { PTRACE_SECCOMP_GET_FILTER } from "../kernel/abi/ptrace.ts";
import { SYS_ptrace } from "../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "../sys/host.ts";
import { __WALL, P_PID, sendSignal, WSTOPPED, waitId } from "../sys/process.ts";
import {
	getRseq,
	getSigmask,
	PTRACE_INTERRUPT,
	PTRACE_O_EXITKILL,
	PTRACE_O_SUSPEND_SECCOMP,
	PTRACE_SEIZE,
	PTRACE_SETOPTIONS,
	peekSiginfo,
	ptrace,
} from "../sys/ptrace.ts";
import type { Probe } from "./probe-host.ts";
import { endStandIn, startStandIn } from "./stand-in.ts";

const PTRACE_POKEUSER = 6;
/** offsetof(struct user, u_debugreg[0]). Source: sys/user.h, x86_64. */
const USER_DEBUGREG_0 = 848;
const PID_TRIES = 64;

/** Asks `question` of a stopped tracee, which is gone afterwards. */
function askTracee(question: (tid: number) => string | undefined): string | undefined {
	const pid = startStandIn();
	try {
		ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL);
		ptrace(PTRACE_INTERRUPT, pid);
		waitId(P_PID, pid, WSTOPPED | __WALL);
		return question(pid);
	} finally {
		endStandIn(pid);
	}
}

export const probePeekSiginfo: Probe = () =>
	askTracee((tid) => {
		peekSiginfo(tid, true);
		getSigmask(tid);
		return undefined;
	});

export const probeRseq: Probe = () =>
	askTracee((tid) => (getRseq(tid) === undefined ? "PTRACE_GET_RSEQ_CONFIGURATION is missing" : undefined));

export const probeSuspendSeccomp: Probe = () =>
	askTracee((tid) => {
		ptrace(PTRACE_SETOPTIONS, tid, 0, PTRACE_O_EXITKILL | PTRACE_O_SUSPEND_SECCOMP);
		return undefined;
	});

export const probeIa32: Probe = () =>
	askIa32Process(() => true) === true ? undefined : "this kernel runs no 32-bit programs";

/** A task without filters answers EINVAL (or ENOENT), a kernel without the request EIO. */
export const probeSeccompFilters: Probe = () =>
	askTracee((tid) => {
		const ret = syscall(SYS_ptrace, PTRACE_SECCOMP_GET_FILTER, tid, 0, 0);
		const known = ret >= 0 || ["EINVAL", "ENOENT"].includes(errnoName(-ret));
		return known ? undefined : `PTRACE_SECCOMP_GET_FILTER: ${errnoName(-ret)}`;
	});

export const probeBreakpoints: Probe = () =>
	askTracee((tid) => {
		ptrace(PTRACE_POKEUSER, tid, USER_DEBUGREG_0, 0x1000);
		return undefined;
	});

/** Makes a child with a chosen pid: one that is free and will not be handed out at once. */
export const probeSetTid: Probe = () => {
	const pid = findFreePid();
	const got = startStandIn(pid);
	endStandIn(got);
	return got === pid ? undefined : `clone3 gave pid ${got} instead of ${pid}`;
};

function findFreePid(): number {
	const max = Number(readFileSync("/proc/sys/kernel/pid_max", "latin1"));
	for (let pid = max - 1; pid > max - PID_TRIES; pid--) {
		// A pid also counts as taken while it only names a session or group: clone3 would say EEXIST.
		if (!sendSignal(pid, 0) && !sendSignal(-pid, 0)) return pid;
	}
	return max - 1;
}
