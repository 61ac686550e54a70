// SPDX-License-Identifier: GPL-2.0-only
// System calls that 32-bit code is made to make (int $0x80): numbers and registers, from those of 64-bit code.
// Source: arch/x86/entry/syscalls/syscall_32.tbl.

import { BugError } from "../errors.ts";
import { SYS_futex, SYS_mmap, SYS_mprotect, SYS_munmap } from "../kernel/abi/syscalls.x86_64.ts";

/** Numbers of the calls that injection needs. mmap2 counts its offset in pages: it's 0. */
const NUMBERS: ReadonlyMap<number, number> = new Map([
	[SYS_mmap, 192],
	[SYS_mprotect, 125],
	[SYS_munmap, 91],
	[SYS_futex, 240],
]);

const word = (value: bigint | undefined) => BigInt.asUintN(32, value ?? 0n);

/** Registers for a call that is named by its number for 64-bit code. */
export function call32(nr: number, args: readonly bigint[]) {
	const ax = NUMBERS.get(nr);
	if (ax === undefined) throw new BugError(`no 32-bit call for system call ${nr}`);
	const [bx, cx, dx, si, di, bp] = [0, 1, 2, 3, 4, 5].map((i) => word(args[i]));
	return { ax: BigInt(ax), bx, cx, dx, si, di, bp } as Record<"ax" | "bx" | "cx" | "dx" | "si" | "di" | "bp", bigint>;
}
