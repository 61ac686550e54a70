// SPDX-License-Identifier: GPL-2.0-only
// seccomp(2) and classic BPF programs.
// Source: linux/seccomp.h, linux/filter.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const SECCOMP_MODE_DISABLED = 0x0;
export const SECCOMP_RET_KILL = 0x0;
export const SECCOMP_RET_KILL_THREAD = 0x0;
export const SECCOMP_SET_MODE_STRICT = 0x0;
export const SECCOMP_ADDFD_FLAG_SETFD = 0x1;
export const SECCOMP_FILTER_FLAG_TSYNC = 0x1;
export const SECCOMP_MODE_STRICT = 0x1;
export const SECCOMP_SET_MODE_FILTER = 0x1;
export const SECCOMP_USER_NOTIF_FLAG_CONTINUE = 0x1;
export const SECCOMP_ADDFD_FLAG_SEND = 0x2;
export const SECCOMP_FILTER_FLAG_LOG = 0x2;
export const SECCOMP_GET_ACTION_AVAIL = 0x2;
export const SECCOMP_MODE_FILTER = 0x2;
export const SECCOMP_GET_NOTIF_SIZES = 0x3;
export const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 0x4;
export const SECCOMP_FILTER_FLAG_NEW_LISTENER = 0x8;
export const SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 0x10;
export const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 0x20;
export const SECCOMP_RET_DATA = 0xffff;
export const SECCOMP_RET_TRAP = 0x30000;
export const SECCOMP_RET_ERRNO = 0x50000;
export const SECCOMP_RET_USER_NOTIF = 0x7fc00000;
export const SECCOMP_RET_TRACE = 0x7ff00000;
export const SECCOMP_RET_LOG = 0x7ffc0000;
export const SECCOMP_RET_ACTION = 0x7fff0000;
export const SECCOMP_RET_ALLOW = 0x7fff0000;
export const SECCOMP_RET_KILL_PROCESS = 0x80000000;
export const SECCOMP_RET_ACTION_FULL = 0xffff0000;

export const AUDIT_ARCH_X86_64 = 0xc000003e;
export const AUDIT_ARCH_I386 = 0x40000003;
/** The longest classic BPF program. */
export const BPF_MAXINSNS = 4096;

/** One classic BPF instruction. */
export const SockFilter = defineStruct("sock_filter", 8, {
	code: ["u16", 0],
	jt: ["u8", 2],
	jf: ["u8", 3],
	k: ["u32", 4],
});
export type SockFilter = StructValue<typeof SockFilter>;

/** A classic BPF program: length in instructions and its address. */
export const SockFprog = defineStruct("sock_fprog", 16, {
	len: ["u16", 0],
	filter: ["u64", 8],
});
export type SockFprog = StructValue<typeof SockFprog>;
