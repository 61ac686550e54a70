// SPDX-License-Identifier: GPL-2.0-only
// Registers as ptrace(2) passes them on x86_64.
// Source: arch/x86/include/asm/user_64.h, sys/user.h.

import { defineStruct, type StructValue } from "./struct.ts";

/** General registers of PTRACE_GETREGS and NT_PRSTATUS. */
export const UserRegs = defineStruct("user_regs_struct", 216, {
	r15: ["u64", 0],
	r14: ["u64", 8],
	r13: ["u64", 16],
	r12: ["u64", 24],
	rbp: ["u64", 32],
	rbx: ["u64", 40],
	r11: ["u64", 48],
	r10: ["u64", 56],
	r9: ["u64", 64],
	r8: ["u64", 72],
	rax: ["u64", 80],
	rcx: ["u64", 88],
	rdx: ["u64", 96],
	rsi: ["u64", 104],
	rdi: ["u64", 112],
	orig_rax: ["u64", 120],
	rip: ["u64", 128],
	cs: ["u64", 136],
	eflags: ["u64", 144],
	rsp: ["u64", 152],
	ss: ["u64", 160],
	fs_base: ["u64", 168],
	gs_base: ["u64", 176],
	ds: ["u64", 184],
	es: ["u64", 192],
	fs: ["u64", 200],
	gs: ["u64", 208],
});
export type UserRegs = StructValue<typeof UserRegs>;

/** The fxsave area: PTRACE_GETFPREGS, NT_PRFPREG, and the first 512 bytes of every XSAVE area. */
export const UserFpregs = defineStruct("user_fpregs_struct", 512, {
	cwd: ["u16", 0],
	swd: ["u16", 2],
	ftw: ["u16", 4],
	fop: ["u16", 6],
	rip: ["u64", 8],
	rdp: ["u64", 16],
	mxcsr: ["u32", 24],
	mxcr_mask: ["u32", 28],
	st_space: ["u32", 32, 32],
	xmm_space: ["u32", 160, 64],
	padding: ["u32", 416, 24],
});
export type UserFpregs = StructValue<typeof UserFpregs>;

/** cs of a 64-bit and of a 32-bit user thread; ss of both. Source: arch/x86/include/asm/segment.h. */
export const USER_CS = 0x33;
export const USER32_CS = 0x23;
export const USER_DS = 0x2b;

/** A TLS slot of PTRACE_GET_THREAD_AREA, set_thread_area(2) and NT_386_TLS. `flags` bits: 0 seg_32bit, 1-2 contents, 3 read_exec_only, 4 limit_in_pages, 5 seg_not_present, 6 useable. Source: asm/ldt.h. */
export const UserDesc = defineStruct("user_desc", 16, {
	entry_number: ["u32", 0],
	base_addr: ["u32", 4],
	limit: ["u32", 8],
	flags: ["u32", 12],
});
export type UserDesc = StructValue<typeof UserDesc>;
