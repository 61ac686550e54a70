// SPDX-License-Identifier: GPL-2.0-only
// Interrupted system calls of 32-bit code: their numbers and arguments. Source: arch/x86/entry/syscalls/syscall_32.tbl, ipc(2).

import { FUTEX_CLOCK_REALTIME, FUTEX_PRIVATE_FLAG, FUTEX_WAIT_BITSET } from "../kernel/abi/futex.ts";
import { getReg, REG, type Registers, withRegs } from "./registers.x86_64.ts";

export const SYS32_restart_syscall = 0;
const SYS32_ipc = 117;
const SYS32_nanosleep = 162;
const SYS32_poll = 168;
const SYS32_futex = 240;
const SYS32_clock_nanosleep = 267;
const SYS32_clock_nanosleep_time64 = 407;
const SYS32_futex_time64 = 422;

/** io_getevents, epoll_wait, epoll_pwait, epoll_pwait2, rt_sigtimedwait and its successor, semtimedop_time64, msgsnd, msgrcv. */
const NEVER_RESTARTED = new Set([247, 256, 319, 441, 177, 421, 420, 400, 401]);
/** SEMOP, SEMTIMEDOP, MSGSND, MSGRCV of ipc(2). Source: linux/ipc.h. */
const IPC_NEVER_RESTARTED = new Set([1, 4, 11, 12]);

const arg = (regs: Registers, index: number) => BigInt.asUintN(32, getReg(regs, index));

/** True in a call that ends with EINTR on any stop, because the kernel never restarts it (signal(7)). */
export function isNeverRestarted32(regs: Registers): boolean {
	const nr = Number(getReg(regs, REG.orig_ax));
	if (nr === SYS32_ipc) return IPC_NEVER_RESTARTED.has(Number(arg(regs, REG.bx) & 0xffffn));
	return NEVER_RESTARTED.has(nr);
}

const FUTEX_OP_MASK = ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);

/** As for 64-bit code: true when a call with a restart block can be issued once more with just what is left. */
export function isRepeatable32(regs: Registers): boolean {
	switch (Number(getReg(regs, REG.orig_ax))) {
		case SYS32_poll:
			return BigInt.asIntN(32, arg(regs, REG.dx)) < 0n;
		case SYS32_futex:
		case SYS32_futex_time64:
			return (Number(BigInt.asIntN(32, arg(regs, REG.cx))) & FUTEX_OP_MASK) === FUTEX_WAIT_BITSET;
		case SYS32_nanosleep:
			return arg(regs, REG.cx) !== 0n && arg(regs, REG.bx) === arg(regs, REG.cx);
		case SYS32_clock_nanosleep:
		case SYS32_clock_nanosleep_time64:
			return (arg(regs, REG.cx) & 1n) === 1n || (arg(regs, REG.si) !== 0n && arg(regs, REG.dx) === arg(regs, REG.si));
		default:
			return false;
	}
}

/** `pop %ebp; pop %edx; pop %ecx; ret`: what follows the call in the kernel's vdso, by which C libraries make their calls. */
const VDSO_END = [0x5d, 0x5a, 0x59, 0xc3];
const VDSO_WORDS = 3n;
/** `call *%gs:0x10`, and `mov $nr, %eax` before it. */
const VDSO_CALL = [0x65, 0xff, 0x15, 0x10, 0, 0, 0];
const MOV_EAX = 0xb8;
const MOV_LENGTH = 5;

/**
 * Registers with the number of the call that a thread is really in, where an earlier stop has left restart_syscall: the code before
 * the call still has it. `read` gives memory of the task.
 */
export function nameRestartedCall32(regs: Registers, read: (address: bigint, length: number) => Uint8Array): Registers {
	const viewAt = (address: bigint, length: number) => {
		const bytes = read(address, length);
		return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset) };
	};
	try {
		const ip = getReg(regs, REG.ip);
		const behind = read(ip, VDSO_END.length);
		let end = ip - 2n;
		if (VDSO_END.every((byte, i) => behind[i] === byte)) {
			const home = BigInt(viewAt(getReg(regs, REG.sp) + 4n * VDSO_WORDS, 4).view.getUint32(0, true));
			end = home - BigInt(VDSO_CALL.length);
			const call = read(end, VDSO_CALL.length);
			if (!VDSO_CALL.every((byte, i) => call[i] === byte)) return regs;
		}
		const { bytes, view } = viewAt(end - BigInt(MOV_LENGTH), MOV_LENGTH);
		return bytes[0] === MOV_EAX ? withRegs(regs, { orig_ax: BigInt(view.getUint32(1, true)) }) : regs;
	} catch {
		return regs; // What can't be read tells nothing.
	}
}
