// SPDX-License-Identifier: GPL-2.0-only
// What seccomp would do to calls of a stopped thread. While we trace it seccomp is suspended; once we are dead it isn't, and the
// way back must not hold a call that kills.

import { KernelError } from "../errors.ts";
import {
	AUDIT_ARCH_I386,
	AUDIT_ARCH_X86_64,
	SECCOMP_MODE_DISABLED,
	SECCOMP_MODE_STRICT,
	SECCOMP_RET_ALLOW,
	SECCOMP_RET_ERRNO,
	SECCOMP_RET_LOG,
	SECCOMP_RET_TRACE,
} from "../kernel/abi/seccomp.ts";
import { SYS_exit, SYS_read, SYS_rt_sigreturn, SYS_write } from "../kernel/abi/syscalls.x86_64.ts";
import { judgeCall } from "../kernel/classic-bpf.ts";
import { readSeccompFilter } from "../sys/ptrace.ts";

const STRICT_CALLS: readonly number[] = [SYS_read, SYS_write, SYS_exit, SYS_rt_sigreturn];
/** exit, read, write, sigreturn. */
const STRICT_CALLS_32: readonly number[] = [1, 3, 4, 119];

/** What becomes of a call: it's carried out, it only fails, or the thread doesn't survive it (or waits for a supervisor). */
export type Verdict = "runs" | "fails" | "kills";

/** The rules that a thread is under; read when they're first asked for. */
export class SeccompRules {
	private filters: readonly Uint8Array[] | undefined;

	private constructor(
		private readonly tid: number,
		private readonly mode: number,
		private readonly is32: boolean,
	) {}

	/**
	 * The rules of a stopped tracee in that mode (as /proc tells it); undefined where seccomp is off. `is32`: for calls of 32-bit code,
	 * by its numbers.
	 */
	static of(tid: number, mode: number, is32 = false): SeccompRules | undefined {
		return mode === SECCOMP_MODE_DISABLED ? undefined : new SeccompRules(tid, mode, is32);
	}

	/** The fate of a call by the instruction before `ip`. */
	judge(nr: number, args: readonly bigint[] = [], ip = 0n): Verdict {
		if (this.mode === SECCOMP_MODE_STRICT)
			return (this.is32 ? STRICT_CALLS_32 : STRICT_CALLS).includes(nr) ? "runs" : "kills";
		this.filters ??= readAll(this.tid);
		switch (judgeCall(this.filters, { nr, arch: this.is32 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64, ip, args })) {
			case SECCOMP_RET_ALLOW:
			case SECCOMP_RET_LOG:
				return "runs";
			case SECCOMP_RET_ERRNO:
			case SECCOMP_RET_TRACE:
				return "fails";
			default:
				return "kills";
		}
	}

	kills(nr: number, args?: readonly bigint[], ip?: bigint): boolean {
		return this.judge(nr, args, ip) === "kills";
	}
}

/** All filters, or one that kills whatever is called where they can't be read. */
function readAll(tid: number): Uint8Array[] {
	const filters: Uint8Array[] = [];
	try {
		for (let filter = readSeccompFilter(tid, 0); filter !== undefined; filter = readSeccompFilter(tid, filters.length))
			filters.push(filter);
	} catch (error) {
		if (!(error instanceof KernelError)) throw error;
		return [new Uint8Array(0)];
	}
	return filters;
}
