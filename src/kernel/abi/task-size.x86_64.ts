// SPDX-License-Identifier: GPL-2.0-only
// Where address spaces end. Source: arch/x86/include/asm/page_64_types.h.

/** Of a task with four levels of page tables: its last page can't be mapped. */
export const TASK_SIZE = (1n << 47n) - 4096n;

/** Behind the last address that a pointer of 32 bits can hold; the stack of a 32-bit task ends just below. */
export const POINTER_END_32 = 1n << 32n;
