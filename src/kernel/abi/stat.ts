// SPDX-License-Identifier: GPL-2.0-only
// File types and modes, statx(2).
// Source: linux/stat.h.

import { defineStruct, type StructValue } from "./struct.ts";

// File types and mode bits
export const S_IXOTH = 0o1;
export const S_IWOTH = 0o2;
export const S_IROTH = 0o4;
export const S_IRWXO = 0o7;
export const S_IXGRP = 0o10;
export const S_IWGRP = 0o20;
export const S_IRGRP = 0o40;
export const S_IRWXG = 0o70;
export const S_IXUSR = 0o100;
export const S_IWUSR = 0o200;
export const S_IRUSR = 0o400;
export const S_IRWXU = 0o700;
export const S_ISVTX = 0o1000;
export const S_ISGID = 0o2000;
export const S_ISUID = 0o4000;
export const S_IFIFO = 0o10000;
export const S_IFCHR = 0o20000;
export const S_IFDIR = 0o40000;
export const S_IFBLK = 0o60000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFSOCK = 0o140000;
export const S_IFMT = 0o170000;

// statx mask and attributes
export const STATX_TYPE = 0x1;
export const STATX_MODE = 0x2;
export const STATX_ATTR_COMPRESSED = 0x4;
export const STATX_NLINK = 0x4;
export const STATX_UID = 0x8;
export const STATX_ATTR_IMMUTABLE = 0x10;
export const STATX_GID = 0x10;
export const STATX_ATIME = 0x20;
export const STATX_ATTR_APPEND = 0x20;
export const STATX_ATTR_NODUMP = 0x40;
export const STATX_MTIME = 0x40;
export const STATX_CTIME = 0x80;
export const STATX_INO = 0x100;
export const STATX_SIZE = 0x200;
export const STATX_BLOCKS = 0x400;
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_ATTR_ENCRYPTED = 0x800;
export const STATX_BTIME = 0x800;
export const STATX_ALL = 0xfff;
export const STATX_ATTR_AUTOMOUNT = 0x1000;
export const STATX_MNT_ID = 0x1000;
export const STATX_ATTR_MOUNT_ROOT = 0x2000;
export const STATX_DIOALIGN = 0x2000;
export const STATX_MNT_ID_UNIQUE = 0x4000;
export const STATX_SUBVOL = 0x8000;
export const STATX_WRITE_ATOMIC = 0x10000;
export const STATX_DIO_READ_ALIGN = 0x20000;
export const STATX_ATTR_VERITY = 0x100000;
export const STATX_ATTR_DAX = 0x200000;
export const STATX_ATTR_WRITE_ATOMIC = 0x400000;
export const STATX__RESERVED = 0x80000000;

/** A time of statx(2). */
export const StatxTimestamp = defineStruct("statx_timestamp", 16, {
	tv_sec: ["i64", 0],
	tv_nsec: ["u32", 8],
});
export type StatxTimestamp = StructValue<typeof StatxTimestamp>;

/** Result of statx(2). */
export const Statx = defineStruct("statx", 256, {
	stx_mask: ["u32", 0],
	stx_blksize: ["u32", 4],
	stx_attributes: ["u64", 8],
	stx_nlink: ["u32", 16],
	stx_uid: ["u32", 20],
	stx_gid: ["u32", 24],
	stx_mode: ["u16", 28],
	stx_ino: ["u64", 32],
	stx_size: ["u64", 40],
	stx_blocks: ["u64", 48],
	stx_attributes_mask: ["u64", 56],
	stx_atime: [StatxTimestamp, 64],
	stx_btime: [StatxTimestamp, 80],
	stx_ctime: [StatxTimestamp, 96],
	stx_mtime: [StatxTimestamp, 112],
	stx_rdev_major: ["u32", 128],
	stx_rdev_minor: ["u32", 132],
	stx_dev_major: ["u32", 136],
	stx_dev_minor: ["u32", 140],
	stx_mnt_id: ["u64", 144],
	stx_dio_mem_align: ["u32", 152],
	stx_dio_offset_align: ["u32", 156],
	stx_subvol: ["u64", 160],
});
export type Statx = StructValue<typeof Statx>;
