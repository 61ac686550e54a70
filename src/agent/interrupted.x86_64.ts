// SPDX-License-Identifier: GPL-2.0-only
// System calls that a stop interrupted: how to make them go on as if nothing had been.

import { SYS_epoll_pwait, SYS_epoll_pwait2, SYS_epoll_wait, SYS_msgrcv, SYS_msgsnd } from "../kernel/abi/syscalls.x86_64.ts";
import { SYS_restart_syscall, SYS_rt_sigtimedwait, SYS_semop, SYS_semtimedop } from "../kernel/abi/syscalls.x86_64.ts";
import { getReg, REG, type Registers, withRegs } from "./chain.x86_64.ts";

const EINTR = 4n;
const ERESTARTSYS = 512n;
const ERESTARTNOINTR = 513n;
const ERESTARTNOHAND = 514n;
const ERESTART_RESTARTBLOCK = 516n;

/** Calls that end with EINTR on any stop, because the kernel never restarts them (signal(7)). */
const NEVER_RESTARTED = new Set<number>([
	SYS_epoll_wait,
	SYS_epoll_pwait,
	SYS_epoll_pwait2,
	SYS_semop,
	SYS_semtimedop,
	SYS_msgrcv,
	SYS_msgsnd,
	SYS_rt_sigtimedwait,
]);

const asSigned = (value: bigint) => BigInt.asIntN(64, value);

/** True while registers are those of a stop within a system call. */
export function inSyscall(regs: Registers): boolean {
	return asSigned(getReg(regs, REG.orig_ax)) >= 0n;
}

/** -errno in rax as a positive number; 0 when rax is no error. */
function errorIn(regs: Registers): bigint {
	const ax = asSigned(getReg(regs, REG.ax));
	return ax < 0n && ax > -4096n ? -ax : 0n;
}

/** The same registers, set to execute the system call once more. `syscall` is two bytes long. */
export function reissueCall(regs: Registers): Registers {
	return withRegs(regs, {
		ip: getReg(regs, REG.ip) - 2n,
		ax: getReg(regs, REG.orig_ax),
		orig_ax: (1n << 64n) - 1n,
	});
}

/**
 * Registers with which a call goes on that our stop has just ended with EINTR though no signal handler has to run;
 * undefined when there's nothing to mend.
 */
export function mendInterruption(regs: Registers): Registers | undefined {
	if (!inSyscall(regs) || errorIn(regs) !== EINTR) return undefined;
	return NEVER_RESTARTED.has(Number(getReg(regs, REG.orig_ax))) ? reissueCall(regs) : undefined;
}

/** How a context outside the kernel (signal frame, image) has to be written so that the interrupted call goes on. */
export interface Resumption {
	regs: Registers;
	/** The call has a restart block, whose remaining time only the kernel knows. */
	restartBlock: boolean;
}

/**
 * Rewinds as the kernel does before it returns to user space. For a restart block the call is issued again with all of its
 * time; where even its number is gone (an earlier stop left restart_syscall in orig_rax) it ends with EINTR.
 */
export function resumeContext(regs: Registers): Resumption {
	const error = inSyscall(regs) ? errorIn(regs) : 0n;
	if (error === ERESTARTSYS || error === ERESTARTNOINTR || error === ERESTARTNOHAND)
		return { regs: reissueCall(regs), restartBlock: false };
	if (error !== ERESTART_RESTARTBLOCK) return { regs, restartBlock: false };
	if (getReg(regs, REG.orig_ax) === BigInt(SYS_restart_syscall))
		return { regs: withRegs(regs, { ax: (1n << 64n) - EINTR }), restartBlock: true };
	return { regs: reissueCall(regs), restartBlock: true };
}
