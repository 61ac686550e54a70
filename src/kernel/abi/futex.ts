// SPDX-License-Identifier: GPL-2.0-only
// futex(2) and robust lists.
// Source: linux/futex.h.

import { defineStruct, type StructValue } from "./struct.ts";

// Operations
export const FUTEX_WAIT = 0;
export const FUTEX_WAKE = 1;
export const FUTEX_FD = 2;
export const FUTEX_REQUEUE = 3;
export const FUTEX_CMP_REQUEUE = 4;
export const FUTEX_WAKE_OP = 5;
export const FUTEX_LOCK_PI = 6;
export const FUTEX_UNLOCK_PI = 7;
export const FUTEX_TRYLOCK_PI = 8;
export const FUTEX_WAIT_BITSET = 9;
export const FUTEX_WAKE_BITSET = 10;
export const FUTEX_WAIT_REQUEUE_PI = 11;
export const FUTEX_CMP_REQUEUE_PI = 12;
export const FUTEX_LOCK_PI2 = 13;
export const FUTEX_PRIVATE_FLAG = 128;
export const FUTEX_WAIT_PRIVATE = 128;
export const FUTEX_WAKE_PRIVATE = 129;
export const FUTEX_REQUEUE_PRIVATE = 131;
export const FUTEX_CMP_REQUEUE_PRIVATE = 132;
export const FUTEX_WAKE_OP_PRIVATE = 133;
export const FUTEX_LOCK_PI_PRIVATE = 134;
export const FUTEX_UNLOCK_PI_PRIVATE = 135;
export const FUTEX_TRYLOCK_PI_PRIVATE = 136;
export const FUTEX_WAIT_BITSET_PRIVATE = 137;
export const FUTEX_WAKE_BITSET_PRIVATE = 138;
export const FUTEX_WAIT_REQUEUE_PI_PRIVATE = 139;
export const FUTEX_CMP_REQUEUE_PI_PRIVATE = 140;
export const FUTEX_LOCK_PI2_PRIVATE = 141;
export const FUTEX_CLOCK_REALTIME = 256;

// Words and masks
export const FUTEX_OP_SET = 0x0;
export const FUTEX_OP_ADD = 0x1;
export const FUTEX_32 = 0x2;
export const FUTEX_OP_OR = 0x2;
export const FUTEX_OP_ANDN = 0x3;
export const FUTEX_OP_XOR = 0x4;
export const FUTEX_OP_OPARG_SHIFT = 0x8;
export const FUTEX_WAITV_MAX = 0x80;
export const ROBUST_LIST_LIMIT = 0x800;
export const FUTEX_TID_MASK = 0x3fffffff;
export const FUTEX_OWNER_DIED = 0x40000000;
export const FUTEX_WAITERS = 0x80000000;
export const FUTEX_BITSET_MATCH_ANY = 0xffffffff;

// futex2 flags (6.7)
export const FUTEX2_SIZE_U8 = 0;
export const FUTEX2_SIZE_U16 = 1;
export const FUTEX2_SIZE_U32 = 2;
export const FUTEX2_SIZE_U64 = 3;
export const FUTEX2_PRIVATE = 0x80;

/** Head of a thread's robust list, as set_robust_list(2) registers it; its length is this size. */
export const RobustListHead = defineStruct("robust_list_head", 24, {
	list: ["u64", 0],
	futex_offset: ["i64", 8],
	list_op_pending: ["u64", 16],
});
export type RobustListHead = StructValue<typeof RobustListHead>;

/** Size of the head that 32-bit code registers. Source: linux/compat.h, struct compat_robust_list_head. */
export const ROBUST_LIST_HEAD_32 = 12;
