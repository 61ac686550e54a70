// SPDX-License-Identifier: GPL-2.0-only
// The smallest program that stays where it is: it calls pause(2) for ever. Probes need a child that can't end, run or change
// anything before it is looked at.

import { buildCodeElf } from "../agent/elf.x86_64.ts";

const CODE = [
	0xb8,
	34,
	0,
	0,
	0, // mov $SYS_pause, %eax
	0x0f,
	0x05, //        syscall
	0xeb,
	0xf7, //        jmp to the start
	// Never reached: what an agent is brought in by, and leaves by.
	0x0f,
	0x05, //        syscall
	0xc3, //        ret
	0x48,
	0xc7,
	0xc0,
	15,
	0,
	0,
	0, // mov $SYS_rt_sigreturn, %rax
	0x0f,
	0x05, //        syscall
];

/** The file's bytes. */
export function makePauseProgram(): Uint8Array {
	return buildCodeElf(Uint8Array.from(CODE));
}
