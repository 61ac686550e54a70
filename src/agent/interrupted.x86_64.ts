// SPDX-License-Identifier: GPL-2.0-only
// System calls that a stop interrupted: how to make them go on as if nothing had been.

import { FUTEX_CLOCK_REALTIME, FUTEX_PRIVATE_FLAG, FUTEX_WAIT_BITSET } from "../kernel/abi/futex.ts";
import {
	SYS_clock_nanosleep,
	SYS_epoll_pwait,
	SYS_epoll_pwait2,
	SYS_epoll_wait,
	SYS_futex,
	SYS_io_getevents,
	SYS_msgrcv,
	SYS_msgsnd,
	SYS_nanosleep,
	SYS_poll,
	SYS_restart_syscall,
	SYS_rt_sigtimedwait,
	SYS_semop,
	SYS_semtimedop,
} from "../kernel/abi/syscalls.x86_64.ts";
import { isNeverRestarted32, isRepeatable32, nameRestartedCall32, SYS32_restart_syscall } from "./interrupted.ia32.ts";
import { getReg, isIa32, REG, type Registers, withRegs } from "./registers.x86_64.ts";

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
	SYS_io_getevents,
]);

/** A register as a number with sign; of 32-bit code the upper half doesn't count. */
const asSigned = (regs: Registers, index: number) => BigInt.asIntN(isIa32(regs) ? 32 : 64, getReg(regs, index));

/** True while registers are those of a stop within a system call. */
export function inSyscall(regs: Registers): boolean {
	return asSigned(regs, REG.orig_ax) >= 0n;
}

/** -errno in rax as a positive number; 0 when rax is no error. */
function errorIn(regs: Registers): bigint {
	const ax = asSigned(regs, REG.ax);
	return ax < 0n && ax > -4096n ? -ax : 0n;
}

/** The call that an earlier stop makes of one with a restart block. */
const isRestarting = (regs: Registers) =>
	getReg(regs, REG.orig_ax) === BigInt(isIa32(regs) ? SYS32_restart_syscall : SYS_restart_syscall);

const isNeverRestarted = (regs: Registers) =>
	isIa32(regs) ? isNeverRestarted32(regs) : NEVER_RESTARTED.has(Number(getReg(regs, REG.orig_ax)));

/** The same registers, set to execute the system call once more. `syscall` is two bytes long, and so is `int $0x80`. */
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
	return isNeverRestarted(regs) ? reissueCall(regs) : undefined;
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
	if (isRestarting(regs)) return { regs: withRegs(regs, { ax: (1n << 64n) - EINTR }), restartBlock: true };
	return { regs: reissueCall(regs), restartBlock: true };
}

/** How an interrupted call is written into an image. */
export interface ImageResumption {
	regs: Registers;
	/** The call ends with EINTR though no handler of the program runs. */
	interrupted: boolean;
}

const FUTEX_OP_MASK = ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);

/** `mov $nr, %eax; syscall`, as C libraries make their calls. */
const CALL_LENGTH = 7n;
const MOV_EAX = 0xb8;

/**
 * Registers with the number of the call that a thread is really in. After an earlier stop that's restart_syscall; the
 * instruction right before the call still has the number of the one that is being restarted. `read` gives code of the task.
 */
export function nameRestartedCall(regs: Registers, read: (address: bigint, length: number) => Uint8Array): Registers {
	if (!inSyscall(regs) || !isRestarting(regs)) return regs;
	if (isIa32(regs)) return nameRestartedCall32(regs, read);
	let code: Uint8Array;
	try {
		code = read(getReg(regs, REG.ip) - CALL_LENGTH, Number(CALL_LENGTH));
	} catch {
		return regs; // Code that can't be read tells nothing.
	}
	if (code[0] !== MOV_EAX || code[5] !== 0x0f || code[6] !== 0x05) return regs;
	return withRegs(regs, { orig_ax: BigInt(new DataView(code.buffer, code.byteOffset).getUint32(1, true)) });
}

/**
 * True when a call with a restart block can be issued once more with just what is left: its time limit is absolute or
 * infinite, or the kernel has written the rest over the request.
 */
function isRepeatable(regs: Registers): boolean {
	if (isIa32(regs)) return isRepeatable32(regs);
	const arg = (index: number) => getReg(regs, index);
	switch (Number(getReg(regs, REG.orig_ax))) {
		case SYS_poll:
			return BigInt.asIntN(32, arg(REG.dx)) < 0n;
		case SYS_futex:
			return (Number(BigInt.asIntN(32, arg(REG.si))) & FUTEX_OP_MASK) === FUTEX_WAIT_BITSET;
		case SYS_nanosleep:
			return arg(REG.si) !== 0n && arg(REG.di) === arg(REG.si);
		case SYS_clock_nanosleep:
			return (arg(REG.si) & 1n) === 1n || (arg(REG.r10) !== 0n && arg(REG.dx) === arg(REG.r10));
		default:
			return false;
	}
}

/**
 * The registers to store of a thread that may sit in a call. `handler`: a signal waits whose handler runs first, and
 * restarts calls (SA_RESTART) or interrupts them. orig_ax stays as it was.
 */
export function resumeFromImage(regs: Registers, handler: "none" | "restart" | "interrupt"): ImageResumption {
	const error = inSyscall(regs) ? errorIn(regs) : 0n;
	const interrupt = withRegs(regs, { ax: (1n << 64n) - EINTR });
	const again = withRegs(regs, { ip: getReg(regs, REG.ip) - 2n, ax: getReg(regs, REG.orig_ax) });
	if (error === ERESTARTNOINTR) return { regs: again, interrupted: false };
	if (error === ERESTARTSYS) return { regs: handler === "interrupt" ? interrupt : again, interrupted: false };
	if (error === ERESTARTNOHAND) return { regs: handler === "none" ? again : interrupt, interrupted: false };
	if (error !== ERESTART_RESTARTBLOCK) return { regs, interrupted: false };
	if (handler !== "none") return { regs: interrupt, interrupted: false };
	return isRepeatable(regs) ? { regs: again, interrupted: false } : { regs: interrupt, interrupted: true };
}
