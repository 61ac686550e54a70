// SPDX-License-Identifier: GPL-2.0-only
// userfaultfd(2): features, modes, messages and ioctl arguments. 64-bit fields take bigint constants.
// Source: linux/userfaultfd.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const UFFD_API = 0xaan;
export const UFFD_USER_MODE_ONLY = 1;

// Features
export const UFFD_FEATURE_PAGEFAULT_FLAG_WP = 0x1n;
export const UFFD_FEATURE_EVENT_FORK = 0x2n;
export const UFFD_FEATURE_EVENT_REMAP = 0x4n;
export const UFFD_FEATURE_EVENT_REMOVE = 0x8n;
export const UFFD_FEATURE_MISSING_HUGETLBFS = 0x10n;
export const UFFD_FEATURE_MISSING_SHMEM = 0x20n;
export const UFFD_FEATURE_EVENT_UNMAP = 0x40n;
export const UFFD_FEATURE_SIGBUS = 0x80n;
export const UFFD_FEATURE_THREAD_ID = 0x100n;
export const UFFD_FEATURE_MINOR_HUGETLBFS = 0x200n;
export const UFFD_FEATURE_MINOR_SHMEM = 0x400n;
export const UFFD_FEATURE_EXACT_ADDRESS = 0x800n;
export const UFFD_FEATURE_WP_HUGETLBFS_SHMEM = 0x1000n;
export const UFFD_FEATURE_WP_UNPOPULATED = 0x2000n;
export const UFFD_FEATURE_POISON = 0x4000n;
export const UFFD_FEATURE_WP_ASYNC = 0x8000n;
export const UFFD_FEATURE_MOVE = 0x10000n;

// Modes
export const UFFDIO_CONTINUE_MODE_DONTWAKE = 0x1n;
export const UFFDIO_COPY_MODE_DONTWAKE = 0x1n;
export const UFFDIO_MOVE_MODE_DONTWAKE = 0x1n;
export const UFFDIO_POISON_MODE_DONTWAKE = 0x1n;
export const UFFDIO_REGISTER_MODE_MISSING = 0x1n;
export const UFFDIO_WRITEPROTECT_MODE_WP = 0x1n;
export const UFFDIO_ZEROPAGE_MODE_DONTWAKE = 0x1n;
export const UFFDIO_COPY_MODE_WP = 0x2n;
export const UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES = 0x2n;
export const UFFDIO_REGISTER_MODE_WP = 0x2n;
export const UFFDIO_WRITEPROTECT_MODE_DONTWAKE = 0x2n;
export const UFFDIO_REGISTER_MODE_MINOR = 0x4n;

// Events and fault flags
export const UFFD_EVENT_PAGEFAULT = 0x12;
export const UFFD_EVENT_FORK = 0x13;
export const UFFD_EVENT_REMAP = 0x14;
export const UFFD_EVENT_REMOVE = 0x15;
export const UFFD_EVENT_UNMAP = 0x16;
export const UFFD_PAGEFAULT_FLAG_WRITE = 0x1n;
export const UFFD_PAGEFAULT_FLAG_WP = 0x2n;
export const UFFD_PAGEFAULT_FLAG_MINOR = 0x4n;

/** A message read from the descriptor; which of the overlapping parts counts is said by `event`. */
export const UffdMsg = defineStruct("uffd_msg", 32, {
	event: ["u8", 0],
	pagefault_flags: ["u64", 8],
	pagefault_address: ["u64", 16],
	pagefault_ptid: ["u32", 24],
	fork_ufd: ["u32", 8],
	remap_from: ["u64", 8],
	remap_to: ["u64", 16],
	remap_len: ["u64", 24],
	remove_start: ["u64", 8],
	remove_end: ["u64", 16],
});
export type UffdMsg = StructValue<typeof UffdMsg>;

/** UFFDIO_API. */
export const UffdioApi = defineStruct("uffdio_api", 24, {
	api: ["u64", 0],
	features: ["u64", 8],
	ioctls: ["u64", 16],
});
export type UffdioApi = StructValue<typeof UffdioApi>;

/** UFFDIO_UNREGISTER, UFFDIO_WAKE. */
export const UffdioRange = defineStruct("uffdio_range", 16, {
	start: ["u64", 0],
	len: ["u64", 8],
});
export type UffdioRange = StructValue<typeof UffdioRange>;

/** UFFDIO_REGISTER. */
export const UffdioRegister = defineStruct("uffdio_register", 32, {
	range: [UffdioRange, 0],
	mode: ["u64", 16],
	ioctls: ["u64", 24],
});
export type UffdioRegister = StructValue<typeof UffdioRegister>;

/** UFFDIO_COPY. */
export const UffdioCopy = defineStruct("uffdio_copy", 40, {
	dst: ["u64", 0],
	src: ["u64", 8],
	len: ["u64", 16],
	mode: ["u64", 24],
	copy: ["i64", 32],
});
export type UffdioCopy = StructValue<typeof UffdioCopy>;

/** UFFDIO_ZEROPAGE. */
export const UffdioZeropage = defineStruct("uffdio_zeropage", 32, {
	range: [UffdioRange, 0],
	mode: ["u64", 16],
	zeropage: ["i64", 24],
});
export type UffdioZeropage = StructValue<typeof UffdioZeropage>;

/** UFFDIO_WRITEPROTECT. */
export const UffdioWriteprotect = defineStruct("uffdio_writeprotect", 24, {
	range: [UffdioRange, 0],
	mode: ["u64", 16],
});
export type UffdioWriteprotect = StructValue<typeof UffdioWriteprotect>;

/** UFFDIO_CONTINUE. */
export const UffdioContinue = defineStruct("uffdio_continue", 32, {
	range: [UffdioRange, 0],
	mode: ["u64", 16],
	mapped: ["i64", 24],
});
export type UffdioContinue = StructValue<typeof UffdioContinue>;

/** UFFDIO_POISON. Since: 6.6. */
export const UffdioPoison = defineStruct("uffdio_poison", 32, {
	range: [UffdioRange, 0],
	mode: ["u64", 16],
	updated: ["i64", 24],
});
export type UffdioPoison = StructValue<typeof UffdioPoison>;

/** UFFDIO_MOVE. Since: 6.8. */
export const UffdioMove = defineStruct("uffdio_move", 40, {
	dst: ["u64", 0],
	src: ["u64", 8],
	len: ["u64", 16],
	mode: ["u64", 24],
	move: ["i64", 32],
});
export type UffdioMove = StructValue<typeof UffdioMove>;
