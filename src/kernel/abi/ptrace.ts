// SPDX-License-Identifier: GPL-2.0-only
// ptrace(2): requests, options, events, register set numbers, and the structs it passes.
// Source: linux/ptrace.h, asm/ptrace-abi.h, linux/elf.h, include/linux/errno.h (codes only a tracer sees).

import { defineStruct, type StructValue } from "./struct.ts";

// Requests
export const PTRACE_TRACEME = 0;
export const PTRACE_PEEKTEXT = 1;
export const PTRACE_PEEKDATA = 2;
export const PTRACE_PEEKUSR = 3;
export const PTRACE_POKETEXT = 4;
export const PTRACE_POKEDATA = 5;
export const PTRACE_POKEUSR = 6;
export const PTRACE_CONT = 7;
export const PTRACE_KILL = 8;
export const PTRACE_SINGLESTEP = 9;
export const PTRACE_GETREGS = 12;
export const PTRACE_SETREGS = 13;
export const PTRACE_GETFPREGS = 14;
export const PTRACE_SETFPREGS = 15;
export const PTRACE_ATTACH = 16;
export const PTRACE_DETACH = 17;
export const PTRACE_GETFPXREGS = 18;
export const PTRACE_SETFPXREGS = 19;
export const PTRACE_OLDSETOPTIONS = 21;
export const PTRACE_SYSCALL = 24;
export const PTRACE_GET_THREAD_AREA = 25;
export const PTRACE_SET_THREAD_AREA = 26;
export const PTRACE_ARCH_PRCTL = 30;
export const PTRACE_SYSEMU = 31;
export const PTRACE_SYSEMU_SINGLESTEP = 32;
export const PTRACE_SINGLEBLOCK = 33;
export const PTRACE_SETOPTIONS = 0x4200;
export const PTRACE_GETEVENTMSG = 0x4201;
export const PTRACE_GETSIGINFO = 0x4202;
export const PTRACE_SETSIGINFO = 0x4203;
export const PTRACE_GETREGSET = 0x4204;
export const PTRACE_SETREGSET = 0x4205;
export const PTRACE_SEIZE = 0x4206;
export const PTRACE_INTERRUPT = 0x4207;
export const PTRACE_LISTEN = 0x4208;
export const PTRACE_PEEKSIGINFO = 0x4209;
export const PTRACE_GETSIGMASK = 0x420a;
export const PTRACE_SETSIGMASK = 0x420b;
export const PTRACE_SECCOMP_GET_FILTER = 0x420c;
export const PTRACE_SECCOMP_GET_METADATA = 0x420d;
export const PTRACE_GET_SYSCALL_INFO = 0x420e;
export const PTRACE_GET_RSEQ_CONFIGURATION = 0x420f;
export const PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG = 0x4210;
export const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG = 0x4211;
export const PTRACE_SET_SYSCALL_INFO = 0x4212;

// Options
export const PTRACE_O_TRACESYSGOOD = 0x1;
export const PTRACE_O_TRACEFORK = 0x2;
export const PTRACE_O_TRACEVFORK = 0x4;
export const PTRACE_O_TRACECLONE = 0x8;
export const PTRACE_O_TRACEEXEC = 0x10;
export const PTRACE_O_TRACEVFORKDONE = 0x20;
export const PTRACE_O_TRACEEXIT = 0x40;
export const PTRACE_O_TRACESECCOMP = 0x80;
export const PTRACE_O_EXITKILL = 0x100000;
export const PTRACE_O_SUSPEND_SECCOMP = 0x200000;
export const PTRACE_O_MASK = 0x3000ff;

// Events, system call info and event messages
export const PTRACE_SYSCALL_INFO_NONE = 0;
export const PTRACE_EVENTMSG_SYSCALL_ENTRY = 1;
export const PTRACE_EVENT_FORK = 1;
export const PTRACE_PEEKSIGINFO_SHARED = 1;
export const PTRACE_SYSCALL_INFO_ENTRY = 1;
export const PTRACE_EVENTMSG_SYSCALL_EXIT = 2;
export const PTRACE_EVENT_VFORK = 2;
export const PTRACE_SYSCALL_INFO_EXIT = 2;
export const PTRACE_EVENT_CLONE = 3;
export const PTRACE_SYSCALL_INFO_SECCOMP = 3;
export const PTRACE_EVENT_EXEC = 4;
export const PTRACE_EVENT_VFORK_DONE = 5;
export const PTRACE_EVENT_EXIT = 6;
export const PTRACE_EVENT_SECCOMP = 7;
export const PTRACE_EVENT_STOP = 128;

// Register sets for PTRACE_GETREGSET
export const NT_PRSTATUS = 0x1;
export const NT_PRFPREG = 0x2;
export const NT_GNU_BUILD_ID = 0x3;
export const NT_AUXV = 0x6;
export const NT_386_TLS = 0x200;
export const NT_386_IOPERM = 0x201;
export const NT_X86_XSTATE = 0x202;
export const NT_X86_SHSTK = 0x204;
export const NT_FILE = 0x46494c45;
export const NT_SIGINFO = 0x53494749;

// What an interrupted system call leaves in rax (negated) while the thread is stopped by a tracer
export const ERESTARTSYS = 512;
export const ERESTARTNOINTR = 513;
export const ERESTARTNOHAND = 514;
export const ENOIOCTLCMD = 515;
export const ERESTART_RESTARTBLOCK = 516;

/** Argument of PTRACE_PEEKSIGINFO. */
export const PtracePeeksiginfoArgs = defineStruct("ptrace_peeksiginfo_args", 16, {
	off: ["u64", 0],
	flags: ["u32", 8],
	nr: ["i32", 12],
});
export type PtracePeeksiginfoArgs = StructValue<typeof PtracePeeksiginfoArgs>;

/** Result of PTRACE_GET_RSEQ_CONFIGURATION. A thread without registration has a zero pointer. */
export const PtraceRseqConfiguration = defineStruct("ptrace_rseq_configuration", 24, {
	rseq_abi_pointer: ["u64", 0],
	rseq_abi_size: ["u32", 8],
	signature: ["u32", 12],
	flags: ["u32", 16],
});
export type PtraceRseqConfiguration = StructValue<typeof PtraceRseqConfiguration>;

/** Result of PTRACE_GET_SYSCALL_INFO; which of the overlapping parts counts is said by `op` (PTRACE_SYSCALL_INFO_*). */
export const PtraceSyscallInfo = defineStruct("ptrace_syscall_info", 88, {
	op: ["u8", 0],
	arch: ["u32", 4],
	instruction_pointer: ["u64", 8],
	stack_pointer: ["u64", 16],
	entry_nr: ["u64", 24],
	entry_args: ["u64", 32, 6],
	exit_rval: ["i64", 24],
	exit_is_error: ["u8", 32],
	seccomp_ret_data: ["u32", 80],
});
export type PtraceSyscallInfo = StructValue<typeof PtraceSyscallInfo>;

/** Argument and result of PTRACE_SECCOMP_GET_METADATA. */
export const SeccompMetadata = defineStruct("seccomp_metadata", 16, {
	filter_off: ["u64", 0],
	flags: ["u64", 8],
});
export type SeccompMetadata = StructValue<typeof SeccompMetadata>;

/** Argument of PTRACE_GET/SET_SYSCALL_USER_DISPATCH_CONFIG. Since: 6.4. */
export const PtraceSudConfig = defineStruct("ptrace_sud_config", 32, {
	mode: ["u64", 0],
	selector: ["u64", 8],
	offset: ["u64", 16],
	len: ["u64", 24],
});
export type PtraceSudConfig = StructValue<typeof PtraceSudConfig>;
