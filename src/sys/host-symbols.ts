// SPDX-License-Identifier: GPL-2.0-only
// Exports of the host library (cparts/host/host.h) with the types of their arguments.

import { FFIType } from "bun:ffi";

/** By their names in C. */
export const SYMBOLS = {
	cr_syscall: {
		args: [FFIType.i64, FFIType.i64, FFIType.i64, FFIType.i64, FFIType.i64, FFIType.i64, FFIType.i64],
		returns: FFIType.i64_fast,
	},
	cr_rewrite: { args: [FFIType.i32, FFIType.u64_fast], returns: FFIType.i64_fast },
	cr_spawn: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_pump: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_snapshot_start: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_snapshot_copy: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_snapshot_end: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i64_fast },
	cr_progress_start: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_progress_note: { args: [FFIType.u64_fast, FFIType.i64_fast, FFIType.u64_fast], returns: FFIType.i64_fast },
	cr_progress_hide: { args: [], returns: FFIType.i64_fast },
	cr_progress_end: { args: [FFIType.i32], returns: FFIType.i64_fast },
	cr_stuck_start: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_stuck_end: { args: [], returns: FFIType.i64_fast },
	cr_seize: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_guard_looks: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_guard_lazy: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_guard: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_step: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_sockopts: {
		args: [FFIType.i32, FFIType.ptr, FFIType.u64_fast, FFIType.ptr, FFIType.ptr],
		returns: FFIType.i64_fast,
	},
	cr_fds: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_close_all: { args: [FFIType.ptr, FFIType.u64_fast], returns: FFIType.i64_fast },
	cr_pipe_peek: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_requeue: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_launch: { args: [FFIType.ptr], returns: FFIType.i64_fast },
	cr_note_signals: { args: [FFIType.ptr, FFIType.u64_fast], returns: FFIType.i64_fast },
	cr_cpuid: { args: [FFIType.u32, FFIType.u32, FFIType.ptr], returns: FFIType.i64_fast },
} as const;
