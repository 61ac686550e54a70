// SPDX-License-Identifier: GPL-2.0-only
// Structs of rt_sigaction(2), sigaltstack(2) and timer_create(2), as the kernel sees them on x86_64.
// Source: asm/signal.h, asm-generic/siginfo.h.

import { defineStruct, type StructValue } from "./struct.ts";

/** Argument of rt_sigaction(2): the kernel's own layout, not the C library's. */
export const KernelSigaction = defineStruct("sigaction", 32, {
	sa_handler: ["u64", 0],
	sa_flags: ["u64", 8],
	sa_restorer: ["u64", 16],
	sa_mask: ["u64", 24],
});
export type KernelSigaction = StructValue<typeof KernelSigaction>;

/** The same of 32-bit code. Source: linux/compat.h. */
export const CompatSigaction = defineStruct("compat_sigaction", 20, {
	sa_handler: ["u32", 0],
	sa_flags: ["u32", 4],
	sa_restorer: ["u32", 8],
	sa_mask: ["u64", 12],
});
export type CompatSigaction = StructValue<typeof CompatSigaction>;

/** Argument of sigaltstack(2). */
export const StackT = defineStruct("stack_t", 24, {
	ss_sp: ["u64", 0],
	ss_flags: ["i32", 8],
	ss_size: ["u64", 16],
});
export type StackT = StructValue<typeof StackT>;

/** Argument of timer_create(2). `sigev_notify_thread_id` counts with SIGEV_THREAD_ID only. */
export const Sigevent = defineStruct("sigevent", 64, {
	sigev_value: ["u64", 0],
	sigev_signo: ["i32", 8],
	sigev_notify: ["i32", 12],
	sigev_notify_thread_id: ["i32", 16],
});
export type Sigevent = StructValue<typeof Sigevent>;
