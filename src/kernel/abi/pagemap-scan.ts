// SPDX-License-Identifier: GPL-2.0-only
// PAGEMAP_SCAN: categories, flags and structs; and the bits of a /proc/PID/pagemap word. Since: 6.7.
// Source: linux/fs.h, fs/proc/task_mmu.c, admin-guide/mm/pagemap.rst.

import { defineStruct, type StructValue } from "./struct.ts";

// Categories
export const PAGE_IS_WPALLOWED = 0x1n;
export const PAGE_IS_WRITTEN = 0x2n;
export const PAGE_IS_FILE = 0x4n;
export const PAGE_IS_PRESENT = 0x8n;
export const PAGE_IS_SWAPPED = 0x10n;
export const PAGE_IS_PFNZERO = 0x20n;
export const PAGE_IS_HUGE = 0x40n;
export const PAGE_IS_SOFT_DIRTY = 0x80n;
export const PAGE_IS_GUARD = 0x100n;

// Flags
export const PM_SCAN_WP_MATCHING = 1n;
export const PM_SCAN_CHECK_WPASYNC = 2n;

// Bits of a pagemap word; the low 55 are the frame number when present
export const PM_SOFT_DIRTY = 1n << 55n;
export const PM_MMAP_EXCLUSIVE = 1n << 56n;
export const PM_UFFD_WP = 1n << 57n;
export const PM_GUARD_REGION = 1n << 58n;
export const PM_FILE = 1n << 61n;
export const PM_SWAP = 1n << 62n;
export const PM_PRESENT = 1n << 63n;
export const PM_PFRAME_MASK = (1n << 55n) - 1n;

/** Argument of PAGEMAP_SCAN; `walk_end` comes back. */
export const PmScanArg = defineStruct("pm_scan_arg", 96, {
	size: ["u64", 0],
	flags: ["u64", 8],
	start: ["u64", 16],
	end: ["u64", 24],
	walk_end: ["u64", 32],
	vec: ["u64", 40],
	vec_len: ["u64", 48],
	max_pages: ["u64", 56],
	category_inverted: ["u64", 64],
	category_mask: ["u64", 72],
	category_anyof_mask: ["u64", 80],
	return_mask: ["u64", 88],
});
export type PmScanArg = StructValue<typeof PmScanArg>;

/** One run of pages, [start, end). */
export const PageRegion = defineStruct("page_region", 24, {
	start: ["u64", 0],
	end: ["u64", 8],
	categories: ["u64", 16],
});
export type PageRegion = StructValue<typeof PageRegion>;
