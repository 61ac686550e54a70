// SPDX-License-Identifier: GPL-2.0-only
// The frame that rt_sigreturn(2) takes: [pretcode][ucontext][siginfo], and the floating point state that uc_mcontext.fpstate
// points to (64-byte aligned): [fxsave, its last 48 bytes fpx_sw_bytes][xsave header][components][FP_XSTATE_MAGIC2].
// Source: asm/sigcontext.h, asm/ucontext.h, arch/x86/include/asm/sigframe.h, arch/x86/kernel/fpu/signal.c.

import { StackT } from "./sigaction.x86_64.ts";
import { Siginfo } from "./siginfo.ts";
import { defineStruct, type StructValue } from "./struct.ts";

// uc_flags
export const UC_FP_XSTATE = 1n;
export const UC_SIGCONTEXT_SS = 2n;
export const UC_STRICT_RESTORE_SS = 4n;

// Marks of extended state: in fpx_sw_bytes.magic1, and in the four bytes after the last component
export const FP_XSTATE_MAGIC1 = 0x46505853;
export const FP_XSTATE_MAGIC2 = 0x46505845;
export const FP_XSTATE_MAGIC2_SIZE = 4;
/** Where fpx_sw_bytes lies in the fxsave area. */
export const FPX_SW_BYTES_OFFSET = 464;

/** General registers of a signal frame. */
export const Sigcontext64 = defineStruct("sigcontext_64", 256, {
	r8: ["u64", 0],
	r9: ["u64", 8],
	r10: ["u64", 16],
	r11: ["u64", 24],
	r12: ["u64", 32],
	r13: ["u64", 40],
	r14: ["u64", 48],
	r15: ["u64", 56],
	di: ["u64", 64],
	si: ["u64", 72],
	bp: ["u64", 80],
	bx: ["u64", 88],
	dx: ["u64", 96],
	ax: ["u64", 104],
	cx: ["u64", 112],
	sp: ["u64", 120],
	ip: ["u64", 128],
	flags: ["u64", 136],
	cs: ["u16", 144],
	gs: ["u16", 146],
	fs: ["u16", 148],
	ss: ["u16", 150],
	err: ["u64", 152],
	trapno: ["u64", 160],
	oldmask: ["u64", 168],
	cr2: ["u64", 176],
	fpstate: ["u64", 184],
});
export type Sigcontext64 = StructValue<typeof Sigcontext64>;

/** The same of a frame of 32-bit code. Segments have 16 bits that count, and 16 that don't. */
export const Sigcontext32 = defineStruct("sigcontext_32", 88, {
	gs: ["u16", 0],
	fs: ["u16", 4],
	es: ["u16", 8],
	ds: ["u16", 12],
	di: ["u32", 16],
	si: ["u32", 20],
	bp: ["u32", 24],
	sp: ["u32", 28],
	bx: ["u32", 32],
	dx: ["u32", 36],
	cx: ["u32", 40],
	ax: ["u32", 44],
	trapno: ["u32", 48],
	err: ["u32", 52],
	ip: ["u32", 56],
	cs: ["u16", 60],
	flags: ["u32", 64],
	sp_at_signal: ["u32", 68],
	ss: ["u16", 72],
	fpstate: ["u32", 76],
	oldmask: ["u32", 80],
	cr2: ["u32", 84],
});
export type Sigcontext32 = StructValue<typeof Sigcontext32>;

/** Software bytes of the fxsave area; tell the kernel of state beyond it. */
export const FpxSwBytes = defineStruct("_fpx_sw_bytes", 48, {
	magic1: ["u32", 0],
	extended_size: ["u32", 4],
	xfeatures: ["u64", 8],
	xstate_size: ["u32", 16],
});
export type FpxSwBytes = StructValue<typeof FpxSwBytes>;

/** The kernel's ucontext (uc_sigmask last, 8 bytes). */
export const Ucontext = defineStruct("ucontext", 304, {
	uc_flags: ["u64", 0],
	uc_link: ["u64", 8],
	uc_stack: [StackT, 16],
	uc_mcontext: [Sigcontext64, 40],
	uc_sigmask: ["u64", 296],
});
export type Ucontext = StructValue<typeof Ucontext>;

/** The whole frame. rt_sigreturn expects rsp 8 bytes above its start: pretcode has been popped. */
export const RtSigframe = defineStruct("rt_sigframe", 440, {
	pretcode: ["u64", 0],
	uc: [Ucontext, 8],
	info: [Siginfo, 312],
});
export type RtSigframe = StructValue<typeof RtSigframe>;
