// SPDX-License-Identifier: GPL-2.0-only
// General registers of a thread, of a 64-bit one or of one that runs 32-bit code: a 64-bit tracer has them in one form.

import { USER32_CS } from "../kernel/abi/user-regs.x86_64.ts";

/** `struct user_regs_struct` as NT_PRSTATUS holds it: index of each 64-bit register. */
export const REG = {
	r15: 0,
	r14: 1,
	r13: 2,
	r12: 3,
	bp: 4,
	bx: 5,
	r11: 6,
	r10: 7,
	r9: 8,
	r8: 9,
	ax: 10,
	cx: 11,
	dx: 12,
	si: 13,
	di: 14,
	orig_ax: 15,
	ip: 16,
	cs: 17,
	flags: 18,
	sp: 19,
	ss: 20,
	fs_base: 21,
	gs_base: 22,
	ds: 23,
	es: 24,
	fs: 25,
	gs: 26,
} as const;

export const REGS_SIZE = 27 * 8;

/** General registers of a thread, a copy of what PTRACE_GETREGSET gave. */
export type Registers = BigUint64Array;

export function getReg(regs: Registers, index: number): bigint {
	return regs[index] ?? 0n;
}

/** A copy with some registers changed. */
export function withRegs(regs: Registers, changes: Partial<Record<keyof typeof REG, bigint>>): Registers {
	const copy = regs.slice();
	for (const [name, value] of Object.entries(changes)) copy[REG[name as keyof typeof REG]] = value;
	return copy;
}

/** True for a thread that runs 32-bit code (IA-32). */
export function isIa32(regs: Registers): boolean {
	return (getReg(regs, REG.cs) & 0xffffn) === BigInt(USER32_CS);
}
