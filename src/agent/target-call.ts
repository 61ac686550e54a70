// SPDX-License-Identifier: GPL-2.0-only
// One system call of a stopped target, on an instruction that it has anyway. Whatever becomes of us in between, the target is
// led on to its cure chain.

import { SYS_rt_sigreturn } from "../kernel/abi/syscalls.x86_64.ts";
import { USER_CS, USER_DS } from "../kernel/abi/user-regs.x86_64.ts";
import type { Chain } from "./chain.ts";
import { type Gadgets, returnRegisters } from "./gadgets.x86_64.ts";
import { call32 } from "./ia32-calls.ts";
import { getReg, REG, type Registers, withRegs } from "./registers.x86_64.ts";
import { getRegisters, resumeToSyscall, type StoppedThread, setRegisters } from "./tracee.ts";

export const NO_SYSCALL = (1n << 64n) - 1n;
export const FLAGS_TO_CLEAR = 0x40500n; // TF, DF, AC
const SYSCALL_LENGTH = 2n;

/** The call, and rsp for the `ret` behind it. */
export interface CallRequest {
	readonly nr: number;
	readonly args: readonly bigint[];
	readonly sp: bigint;
}

/** Registers for a call on a target's own instruction, whose number is that of 64-bit code. */
export function callRegisters(
	gadgets: Gadgets,
	nr: number,
	args: readonly bigint[],
): Partial<Record<keyof typeof REG, bigint>> {
	if (gadgets.isIa32) return call32(nr, args);
	const [di = 0n, si = 0n, dx = 0n, r10 = 0n, r8 = 0n, r9 = 0n] = args;
	return { ...returnRegisters(gadgets), ax: BigInt(nr), di, si, dx, r10, r8, r9 };
}

/** A call under way: arm, enter, finish; or, when others lead the thread from stop to stop, arm, atEntry, result. */
export class TargetCall {
	/** Registers that the call is made with. */
	private readonly change: Partial<Record<keyof typeof REG, bigint>>;
	/** It would kill the target without us, and is another one until its entry. */
	readonly escapes: boolean;

	constructor(
		private readonly thread: StoppedThread,
		private readonly gadgets: Gadgets,
		private readonly chain: Chain,
		private readonly request: CallRequest,
	) {
		this.change = { ...callRegisters(gadgets, request.nr, request.args), sp: request.sp };
		const { rules } = thread;
		const ip = gadgets.syscallRet + SYSCALL_LENGTH;
		this.escapes = rules?.kills(request.nr, request.args, ip) === true && !rules.kills(SYS_rt_sigreturn, [], ip);
	}

	/**
	 * Sets the registers for the call. If it would kill the target without us, they are set for a call that takes it back
	 * to where it was; then it becomes the other one on entry, an instant before it's let through.
	 */
	arm(): void {
		const { thread, gadgets, chain } = this;
		const { tid, regs } = thread;
		const way = this.escapes ? { ax: BigInt(SYS_rt_sigreturn), sp: chain.lastSigreturnSp } : {};
		const flags = getReg(regs, REG.flags) & ~FLAGS_TO_CLEAR;
		const change = { ...this.change, ip: gadgets.syscallRet, orig_ax: NO_SYSCALL, flags };
		setRegisters(tid, withRegs(regs, { ...change, ...way }));
	}

	/** Runs the target up to the call's entry. */
	enter(deadline: number): void {
		resumeToSyscall(this.thread.tid, deadline);
	}

	/** At the entry: makes it the call that is wanted. */
	atEntry(): void {
		const { tid } = this.thread;
		if (!this.escapes) return;
		const regs = getRegisters(tid);
		const change = { ...this.change, ax: getReg(regs, REG.ax), orig_ax: BigInt(this.request.nr) };
		setRegisters(tid, withRegs(regs, change));
	}

	/** At the call's end: its result. */
	result(): bigint {
		return BigInt.asIntN(64, getReg(getRegisters(this.thread.tid), REG.ax));
	}

	/** Runs the target from the entry up to the call's end; gives its result. */
	finish(deadline: number): bigint {
		this.atEntry();
		resumeToSyscall(this.thread.tid, deadline);
		return this.result();
	}
}

/** The registers of a thread, set to go on at an address of our own code, which is 64-bit code in any task. */
export function enterAgent(regs: Registers, ip: bigint, sp: bigint, di: bigint): Registers {
	const flags = getReg(regs, REG.flags) & ~FLAGS_TO_CLEAR;
	return withRegs(regs, { ip, sp, di, orig_ax: NO_SYSCALL, flags, cs: BigInt(USER_CS), ss: BigInt(USER_DS) });
}
