// SPDX-License-Identifier: GPL-2.0-only
// PROCMAP_QUERY: one VMA as binary, asked of an open /proc/PID/maps. Since: 6.11.
// Source: linux/fs.h.

import { defineStruct, type StructValue } from "./struct.ts";

// query_flags and vma_flags
export const PROCMAP_QUERY_VMA_READABLE = 0x1n;
export const PROCMAP_QUERY_VMA_WRITABLE = 0x2n;
export const PROCMAP_QUERY_VMA_EXECUTABLE = 0x4n;
export const PROCMAP_QUERY_VMA_SHARED = 0x8n;
export const PROCMAP_QUERY_COVERING_OR_NEXT_VMA = 0x10n;
export const PROCMAP_QUERY_FILE_BACKED_VMA = 0x20n;

/** Argument and result. Sizes of the name and build id go in as room and come back as length (name: with its NUL). */
export const ProcmapQuery = defineStruct("procmap_query", 104, {
	size: ["u64", 0],
	query_flags: ["u64", 8],
	query_addr: ["u64", 16],
	vma_start: ["u64", 24],
	vma_end: ["u64", 32],
	vma_flags: ["u64", 40],
	vma_page_size: ["u64", 48],
	vma_offset: ["u64", 56],
	inode: ["u64", 64],
	dev_major: ["u32", 72],
	dev_minor: ["u32", 76],
	vma_name_size: ["u32", 80],
	build_id_size: ["u32", 84],
	vma_name_addr: ["u64", 88],
	build_id_addr: ["u64", 96],
});
export type ProcmapQuery = StructValue<typeof ProcmapQuery>;
