// SPDX-License-Identifier: GPL-2.0-only
// The XSAVE area: [fxsave 512][header 64][components]. In the standard format a component's offset and size come from
// CPUID leaf 13 (sub-leaf = component number, ebx = offset, eax = size); only numbers and header are fixed.
// Source: Intel SDM volume 1 chapter 13, arch/x86/include/asm/fpu/types.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const XSAVE_LEGACY_SIZE = 512;
export const XSAVE_HEADER_OFFSET = 512;
export const XSAVE_HEADER_SIZE = 64;
/** Where the first extended component (AVX) lies, in either format. */
export const XSAVE_EXTENDED_OFFSET = 576;

// Component numbers: bits of xstate_bv
export const XFEATURE_FP = 0;
export const XFEATURE_SSE = 1;
export const XFEATURE_YMM = 2;
export const XFEATURE_BNDREGS = 3;
export const XFEATURE_BNDCSR = 4;
export const XFEATURE_OPMASK = 5;
export const XFEATURE_ZMM_Hi256 = 6;
export const XFEATURE_Hi16_ZMM = 7;
export const XFEATURE_PT = 8;
export const XFEATURE_PKRU = 9;
export const XFEATURE_PASID = 10;
export const XFEATURE_CET_USER = 11;
export const XFEATURE_CET_KERNEL = 12;
export const XFEATURE_LBR = 15;
export const XFEATURE_XTILE_CFG = 17;
export const XFEATURE_XTILE_DATA = 18;
export const XFEATURE_APX = 19;

/** The architectural size in bytes of each user component, by number; the CPU's own word (CPUID) goes before it. */
export const XSAVE_COMPONENT_SIZES: ReadonlyMap<number, number> = new Map([
	[XFEATURE_YMM, 256],
	[XFEATURE_BNDREGS, 64],
	[XFEATURE_BNDCSR, 64],
	[XFEATURE_OPMASK, 64],
	[XFEATURE_ZMM_Hi256, 512],
	[XFEATURE_Hi16_ZMM, 1024],
	[XFEATURE_PKRU, 8],
	[XFEATURE_XTILE_CFG, 64],
	[XFEATURE_XTILE_DATA, 8192],
	[XFEATURE_APX, 128],
]);

/** Bit 63 of xcomp_bv: the area is compacted (never so towards user space). */
export const XCOMP_BV_COMPACTED = 1n << 63n;
/** Where the kernel puts the enabled user features into the area of NT_X86_XSTATE: the first software-reserved word. */
export const XSAVE_SW_XFEATURES_OFFSET = 464;

/** Header of the area, at XSAVE_HEADER_OFFSET. */
export const XsaveHeader = defineStruct("_header", 64, {
	xstate_bv: ["u64", 0],
	xcomp_bv: ["u64", 8],
});
export type XsaveHeader = StructValue<typeof XsaveHeader>;

/** The bit of a component in xstate_bv. */
export function xfeatureBit(component: number): bigint {
	return 1n << BigInt(component);
}
