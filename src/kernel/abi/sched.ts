// SPDX-License-Identifier: GPL-2.0-only
// clone(2), clone3(2) and scheduling. Flags of clone3 above 32 bits are bigint, like the field they go into.
// Source: linux/sched.h, linux/sched/types.h.

import { defineStruct, type StructValue } from "./struct.ts";

// clone, clone3, unshare, setns
export const CLONE_NEWTIME = 0x80;
export const CSIGNAL = 0xff;
export const CLONE_VM = 0x100;
export const CLONE_FS = 0x200;
export const CLONE_FILES = 0x400;
export const CLONE_SIGHAND = 0x800;
export const CLONE_PIDFD = 0x1000;
export const CLONE_PTRACE = 0x2000;
export const CLONE_VFORK = 0x4000;
export const CLONE_PARENT = 0x8000;
export const CLONE_THREAD = 0x10000;
export const CLONE_NEWNS = 0x20000;
export const CLONE_SYSVSEM = 0x40000;
export const CLONE_SETTLS = 0x80000;
export const CLONE_PARENT_SETTID = 0x100000;
export const CLONE_CHILD_CLEARTID = 0x200000;
export const CLONE_DETACHED = 0x400000;
export const CLONE_UNTRACED = 0x800000;
export const CLONE_CHILD_SETTID = 0x1000000;
export const CLONE_NEWCGROUP = 0x2000000;
export const CLONE_NEWUTS = 0x4000000;
export const CLONE_NEWIPC = 0x8000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;
export const CLONE_IO = 0x80000000;
export const CLONE_CLEAR_SIGHAND = 0x100000000n;
export const CLONE_INTO_CGROUP = 0x200000000n;

// Sizes of clone_args by version
export const CLONE_ARGS_SIZE_VER0 = 64;
export const CLONE_ARGS_SIZE_VER1 = 80;
export const CLONE_ARGS_SIZE_VER2 = 88;

// Policies
export const SCHED_NORMAL = 0;
export const SCHED_FIFO = 1;
export const SCHED_RR = 2;
export const SCHED_BATCH = 3;
export const SCHED_IDLE = 5;
export const SCHED_DEADLINE = 6;
export const SCHED_EXT = 7;
/** OR-ed to the policy of sched_setscheduler(2). */
export const SCHED_RESET_ON_FORK = 0x40000000;

// sched_attr flags (a 64-bit field)
export const SCHED_FLAG_RESET_ON_FORK = 0x1n;
export const SCHED_FLAG_RECLAIM = 0x2n;
export const SCHED_FLAG_DL_OVERRUN = 0x4n;
export const SCHED_FLAG_KEEP_POLICY = 0x8n;
export const SCHED_FLAG_KEEP_PARAMS = 0x10n;
export const SCHED_FLAG_KEEP_ALL = 0x18n;
export const SCHED_FLAG_UTIL_CLAMP_MIN = 0x20n;
export const SCHED_FLAG_UTIL_CLAMP_MAX = 0x40n;
export const SCHED_FLAG_UTIL_CLAMP = 0x60n;
export const SCHED_FLAG_ALL = 0x7fn;

/** Argument of clone3(2). */
export const CloneArgs = defineStruct("clone_args", 88, {
	flags: ["u64", 0],
	pidfd: ["u64", 8],
	child_tid: ["u64", 16],
	parent_tid: ["u64", 24],
	exit_signal: ["u64", 32],
	stack: ["u64", 40],
	stack_size: ["u64", 48],
	tls: ["u64", 56],
	set_tid: ["u64", 64],
	set_tid_size: ["u64", 72],
	cgroup: ["u64", 80],
});
export type CloneArgs = StructValue<typeof CloneArgs>;

/** Argument of sched_setattr(2). Source: linux/sched/types.h. */
export const SchedAttr = defineStruct("sched_attr", 56, {
	size: ["u32", 0],
	sched_policy: ["u32", 4],
	sched_flags: ["u64", 8],
	sched_nice: ["i32", 16],
	sched_priority: ["u32", 20],
	sched_runtime: ["u64", 24],
	sched_deadline: ["u64", 32],
	sched_period: ["u64", 40],
	sched_util_min: ["u32", 48],
	sched_util_max: ["u32", 52],
});
export type SchedAttr = StructValue<typeof SchedAttr>;
