// SPDX-License-Identifier: GPL-2.0-only
// prctl(2): operations and values that matter on x86_64, and the map of PR_SET_MM_MAP.
// Source: linux/prctl.h.

import { defineStruct, type StructValue } from "./struct.ts";

// Operations
export const PR_SET_PDEATHSIG = 1;
export const PR_GET_PDEATHSIG = 2;
export const PR_GET_DUMPABLE = 3;
export const PR_SET_DUMPABLE = 4;
export const PR_GET_KEEPCAPS = 7;
export const PR_SET_KEEPCAPS = 8;
export const PR_GET_TIMING = 13;
export const PR_SET_TIMING = 14;
export const PR_SET_NAME = 15;
export const PR_GET_NAME = 16;
export const PR_GET_SECCOMP = 21;
export const PR_SET_SECCOMP = 22;
export const PR_CAPBSET_READ = 23;
export const PR_CAPBSET_DROP = 24;
export const PR_GET_TSC = 25;
export const PR_SET_TSC = 26;
export const PR_GET_SECUREBITS = 27;
export const PR_SET_SECUREBITS = 28;
export const PR_SET_TIMERSLACK = 29;
export const PR_GET_TIMERSLACK = 30;
export const PR_TASK_PERF_EVENTS_DISABLE = 31;
export const PR_TASK_PERF_EVENTS_ENABLE = 32;
export const PR_MCE_KILL = 33;
export const PR_MCE_KILL_GET = 34;
export const PR_SET_MM = 35;
export const PR_SET_CHILD_SUBREAPER = 36;
export const PR_GET_CHILD_SUBREAPER = 37;
export const PR_SET_NO_NEW_PRIVS = 38;
export const PR_GET_NO_NEW_PRIVS = 39;
export const PR_GET_TID_ADDRESS = 40;
export const PR_SET_THP_DISABLE = 41;
export const PR_GET_THP_DISABLE = 42;
export const PR_CAP_AMBIENT = 47;
export const PR_GET_SPECULATION_CTRL = 52;
export const PR_SET_SPECULATION_CTRL = 53;
export const PR_SET_IO_FLUSHER = 57;
export const PR_GET_IO_FLUSHER = 58;
export const PR_SET_SYSCALL_USER_DISPATCH = 59;
export const PR_SCHED_CORE = 62;
export const PR_SET_MDWE = 0x41;
export const PR_GET_MDWE = 0x42;
export const PR_SET_MEMORY_MERGE = 0x43;
export const PR_GET_MEMORY_MERGE = 0x44;
export const PR_TIMER_CREATE_RESTORE_IDS = 0x4d;
export const PR_FUTEX_HASH = 0x4e;
export const PR_GET_AUXV = 0x41555856;
export const PR_SET_VMA = 0x53564d41;
export const PR_SET_PTRACER = 0x59616d61;

// Second arguments
export const PR_MCE_KILL_CLEAR = 0;
export const PR_MCE_KILL_LATE = 0;
export const PR_SCHED_CORE_GET = 0;
export const PR_SCHED_CORE_SCOPE_THREAD = 0;
export const PR_SET_VMA_ANON_NAME = 0;
export const PR_SPEC_NOT_AFFECTED = 0;
export const PR_SPEC_STORE_BYPASS = 0;
export const PR_SYS_DISPATCH_OFF = 0;
export const PR_TIMER_CREATE_RESTORE_IDS_OFF = 0;
export const PR_CAP_AMBIENT_IS_SET = 1;
export const PR_MCE_KILL_EARLY = 1;
export const PR_MCE_KILL_SET = 1;
export const PR_MDWE_REFUSE_EXEC_GAIN = 1;
export const PR_SCHED_CORE_CREATE = 1;
export const PR_SCHED_CORE_SCOPE_THREAD_GROUP = 1;
export const PR_SET_MM_START_CODE = 1;
export const PR_SPEC_INDIRECT_BRANCH = 1;
export const PR_SPEC_PRCTL = 1;
export const PR_SYS_DISPATCH_ON = 1;
export const PR_TIMER_CREATE_RESTORE_IDS_ON = 1;
export const PR_TSC_ENABLE = 1;
export const PR_CAP_AMBIENT_RAISE = 2;
export const PR_MCE_KILL_DEFAULT = 2;
export const PR_MDWE_NO_INHERIT = 2;
export const PR_SCHED_CORE_SCOPE_PROCESS_GROUP = 2;
export const PR_SCHED_CORE_SHARE_TO = 2;
export const PR_SET_MM_END_CODE = 2;
export const PR_SPEC_ENABLE = 2;
export const PR_SPEC_L1D_FLUSH = 2;
export const PR_THP_DISABLE_EXCEPT_ADVISED = 2;
export const PR_TIMER_CREATE_RESTORE_IDS_GET = 2;
export const PR_TSC_SIGSEGV = 2;
export const PR_CAP_AMBIENT_LOWER = 3;
export const PR_SCHED_CORE_SHARE_FROM = 3;
export const PR_SET_MM_START_DATA = 3;
export const PR_CAP_AMBIENT_CLEAR_ALL = 4;
export const PR_SCHED_CORE_MAX = 4;
export const PR_SET_MM_END_DATA = 4;
export const PR_SPEC_DISABLE = 4;
export const PR_SET_MM_START_STACK = 5;
export const PR_SET_MM_START_BRK = 6;
export const PR_SET_MM_BRK = 7;
export const PR_SET_MM_ARG_START = 8;
export const PR_SPEC_FORCE_DISABLE = 8;
export const PR_SET_MM_ARG_END = 9;
export const PR_SET_MM_ENV_START = 10;
export const PR_SET_MM_ENV_END = 11;
export const PR_SET_MM_AUXV = 12;
export const PR_SET_MM_EXE_FILE = 13;
export const PR_SET_MM_MAP = 14;
export const PR_SET_MM_MAP_SIZE = 15;
export const PR_SPEC_DISABLE_NOEXEC = 16;

// Values of PR_SET_DUMPABLE (include/linux/sched/coredump.h); ROOT can be read, but not set
export const SUID_DUMP_DISABLE = 0;
export const SUID_DUMP_USER = 1;
export const SUID_DUMP_ROOT = 2;

/** Argument of PR_SET_MM_MAP. `exe_fd` -1 (0xffffffff) leaves the exe link alone; `auxv_size` 0 the vector. */
export const PrctlMmMap = defineStruct("prctl_mm_map", 104, {
	start_code: ["u64", 0],
	end_code: ["u64", 8],
	start_data: ["u64", 16],
	end_data: ["u64", 24],
	start_brk: ["u64", 32],
	brk: ["u64", 40],
	start_stack: ["u64", 48],
	arg_start: ["u64", 56],
	arg_end: ["u64", 64],
	env_start: ["u64", 72],
	env_end: ["u64", 80],
	auxv: ["u64", 88],
	auxv_size: ["u32", 96],
	exe_fd: ["u32", 100],
});
export type PrctlMmMap = StructValue<typeof PrctlMmMap>;
