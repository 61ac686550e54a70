// SPDX-License-Identifier: GPL-2.0-only
// FS_IOC_FIEMAP: extents of a file.
// Source: linux/fiemap.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const FIEMAP_EXTENT_LAST = 0x1;
export const FIEMAP_FLAG_SYNC = 0x1;
export const FIEMAP_EXTENT_UNKNOWN = 0x2;
export const FIEMAP_FLAG_XATTR = 0x2;
export const FIEMAP_EXTENT_DELALLOC = 0x4;
export const FIEMAP_FLAG_CACHE = 0x4;
export const FIEMAP_EXTENT_ENCODED = 0x8;
export const FIEMAP_EXTENT_DATA_ENCRYPTED = 0x80;
export const FIEMAP_EXTENT_NOT_ALIGNED = 0x100;
export const FIEMAP_EXTENT_DATA_INLINE = 0x200;
export const FIEMAP_EXTENT_DATA_TAIL = 0x400;
export const FIEMAP_EXTENT_UNWRITTEN = 0x800;
export const FIEMAP_EXTENT_MERGED = 0x1000;
export const FIEMAP_EXTENT_SHARED = 0x2000;

/** Head of the argument; `fm_extent_count` extents follow. */
export const Fiemap = defineStruct("fiemap", 32, {
	fm_start: ["u64", 0],
	fm_length: ["u64", 8],
	fm_flags: ["u32", 16],
	fm_mapped_extents: ["u32", 20],
	fm_extent_count: ["u32", 24],
});
export type Fiemap = StructValue<typeof Fiemap>;

/** One extent. */
export const FiemapExtent = defineStruct("fiemap_extent", 56, {
	fe_logical: ["u64", 0],
	fe_physical: ["u64", 8],
	fe_length: ["u64", 16],
	fe_flags: ["u32", 40],
});
export type FiemapExtent = StructValue<typeof FiemapExtent>;
