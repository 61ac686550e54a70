// SPDX-License-Identifier: GPL-2.0-only
// What stat(2), fstat(2) and statfs(2) write on x86_64.
// Source: arch/x86/include/uapi/asm/stat.h, asm-generic/statfs.h.

import { defineStruct, type StructValue } from "./struct.ts";

/** Result of stat(2); devices in the user encoding (devices.ts). */
export const Stat = defineStruct("stat", 144, {
	st_dev: ["u64", 0],
	st_ino: ["u64", 8],
	st_nlink: ["u64", 16],
	st_mode: ["u32", 24],
	st_uid: ["u32", 28],
	st_gid: ["u32", 32],
	st_rdev: ["u64", 40],
	st_size: ["i64", 48],
	st_blksize: ["i64", 56],
	st_blocks: ["i64", 64],
	st_atime: ["u64", 72],
	st_atime_nsec: ["u64", 80],
	st_mtime: ["u64", 88],
	st_mtime_nsec: ["u64", 96],
	st_ctime: ["u64", 104],
	st_ctime_nsec: ["u64", 112],
});
export type Stat = StructValue<typeof Stat>;

/** Result of statfs(2); `f_type` is one of magic.ts. */
export const Statfs = defineStruct("statfs", 120, {
	f_type: ["i64", 0],
	f_bsize: ["i64", 8],
	f_blocks: ["u64", 16],
	f_bfree: ["u64", 24],
	f_bavail: ["u64", 32],
	f_files: ["u64", 40],
	f_ffree: ["u64", 48],
	f_fsid: ["i32", 56, 2],
	f_namelen: ["i64", 64],
	f_frsize: ["i64", 72],
	f_flags: ["i64", 80],
});
export type Statfs = StructValue<typeof Statfs>;
