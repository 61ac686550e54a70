/* SPDX-License-Identifier: GPL-2.0-only */
/* What the engine and the agent share: the control block at the start of each agent's slot, and the operations of a
 * program. src/agent/layout.ts describes the same structures; the build compares both. Little endian, no pointers kept. */
#ifndef CR_AGENT_H
#define CR_AGENT_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

#define CR_AGENT_MAGIC 0x41475243u /* "CRGA" */
#define CR_AGENT_VERSION 1u

/* The first bytes of the blob; the engine reads entries from it and fills in the last three for a new process. */
struct cr_blob_header {
	u32 magic;
	u32 version;
	u32 entry_loop; /* offset of the command loop: rdi = struct cr_ctl *, rsp = top of a stack */
	u32 entry_exec; /* offset of the ELF entry of a new process */
	u64 area;       /* exec only: where to map the shared area */
	u64 area_len;
	u32 area_fd;    /* exec only: its descriptor, closed once mapped */
	u32 ctl;        /* exec only: offset of the control block in the area */
	u32 loop;       /* exec only: offset of the command loop in the area */
	u32 stack;      /* exec only: offset of the end of the stack in the area */
	u32 entry_thread; /* offset of the entry of a led thread: rsp right above the word of its slot that led here */
	u32 entry_thread32; /* the same for a thread of 32-bit code, which 64 bytes below esp are free for */
};

/* Operation codes. */
enum {
	CR_OP_SYSCALL = 1, /* nr, arg[0..5] */
	CR_OP_COPY = 2,    /* arg0 to, arg1 from, arg2 bytes */
	CR_OP_MERGE = 3,   /* arg0 to, arg1 from, arg2 bytes: copies only the 4 KiB pages that differ; result: pages copied */
	CR_OP_STORE = 4,   /* arg0 address, arg1 value, arg2 size 1 2 4 8 */
	CR_OP_CLONE = 5,   /* arg0 clone_args, arg1 their size, arg2 control block of the child, arg3 the maker's pid for a child */
	CR_OP_WAIT = 6,    /* arg0 u32 address, arg1 value: until the word reached the value */
	CR_OP_WAKE = 7,    /* arg0 u32 address, arg1 value: stores it and wakes all */
	CR_OP_REAP = 8,    /* arg0 u32 address: sets it to 1, waits for children until there is none, ends the process with 0 */
	CR_OP_FILL = 9,    /* syscall with (fd, buffer, length, offset) repeated until all of length is done: nr pread64/pwrite64 */
	CR_OP_LOAD = 10,   /* arg0 fd, arg1 address, arg2 bytes, arg3 offset: reads into fresh memory, populated in batches;
	                    * with arg5, a buffer of CR_LOAD_BUFFER bytes, it's written through arg4, /proc/self/mem */
	CR_OP_BORROW = 11, /* syscall that makes a descriptor: closed by CR_OP_GIVE_BACK, or by an agent that leaves alone */
	CR_OP_GIVE_BACK = 12,
	CR_OP_MOVE = 13,   /* arg0 fd, arg1 number, arg2 O_CLOEXEC or 0: gives a descriptor its number */
	CR_OP_PLACE = 14,  /* arg0 fd, arg1 u32 pairs (number, O_CLOEXEC or 0), arg2 how many: the same for several numbers */
	CR_OP_SYSCALL32 = 15, /* a call as 32-bit code makes it: nr is one of its numbers, arguments and addresses have 32 bits */
};

/* What counts as success of an operation. */
enum {
	CR_CHECK_NONE = 0,     /* any result */
	CR_CHECK_NO_ERROR = 1, /* result is no -errno */
	CR_CHECK_EQUAL = 2,    /* result == expect */
	CR_CHECK_NO_ERROR_OR = 3, /* no error, or exactly -expect */
};

/* Kinds of an argument, four bits each in `kinds`, arg0 lowest. */
enum {
	CR_ARG_CONST = 0,
	CR_ARG_AREA = 1,   /* offset from the start of the area */
	CR_ARG_RESULT = 2, /* result of the operation with this index in the same program */
	CR_ARG_LOAD32 = 3, /* the u32 at this offset of the area, such as a descriptor that pipe2 has stored */
	CR_ARG_LOAD64 = 4, /* the u64 there, such as an address that io_setup has stored */
};

struct cr_op {
	u16 code;
	u16 check;
	u32 nr;
	u32 kinds;
	u32 tag; /* free for the engine */
	i64 expect;
	u64 arg[6];
	i64 result;
};

/* ctl.flags */
#define CR_CTL_RESTART 1u /* the interrupted call has a restart block: finish it before leaving alone */
#define CR_CTL_SPIN 2u    /* wait without system calls (a seccomp filter forbids them) */

struct cr_ctl {
	u32 lock;    /* robust futex held by the engine's thread; FUTEX_OWNER_DIED in it means: leave alone */
	u32 cmd_seq; /* raised by the engine */
	u32 ack_seq; /* set to cmd_seq by the agent when the program has ended */
	u32 flags;
	u64 area;     /* address of the area in this process */
	u64 program;  /* offset of the first operation */
	u32 nr_ops;
	u32 failed;   /* index of the operation that failed, or ~0 */
	i64 error;    /* its result */
	u64 chain_sp; /* stack pointer at which rt_sigreturn runs the cure chain; 0: exit instead */
	u64 frame_rax; /* addresses of the saved rax and rip in the chain's last frame */
	u64 frame_rip;
	u64 orig_rip;
	u64 orig_mask;
	u64 borrowed; /* a descriptor that isn't to stay, plus 1; 0 for none */
	u64 slots;    /* offset of the first struct cr_slot */
	u32 nr_slots; /* threads beside the agent's that are led into the area */
	u32 done;     /* how many of them have run their programs */
	u32 gone;     /* set by the agent when the engine has died: they are to leave */
	u32 unused;
};

/* Where a led thread is. Who holds the area waits for those that will be, or are, in it; each of them can be told from
 * those that never come, whenever the engine dies:
 * - LED is set before the word at ret_at leads into the area, and nobody but the engine changes that word before INSIDE;
 * - INSIDE is set by the thread before it makes that word lead home again;
 * - LEFT is set by a system call that the thread makes outside of the area (FUTEX_WAKE_OP). */
enum {
	CR_SLOT_FREE = 0,
	CR_SLOT_LED = 1,
	CR_SLOT_INSIDE = 2,
	CR_SLOT_LEFT = 3,
};

struct cr_slot {
	u32 state;
	u32 nr_ops;
	u64 ret_at;   /* address of the word on the thread's stack that leads home, or into the area */
	u64 home;     /* its value that leads home */
	u64 call;     /* address of a system call instruction outside of the area, from which that word is reached */
	u64 leave_sp; /* stack pointer for that */
	u64 stack;    /* address of the end of its stack in the area */
	u64 program;  /* offset of the first operation */
	i64 error;    /* result of the operation that failed */
	u32 failed;   /* its index, or ~0 */
	u32 is_ia32;  /* it's of 32-bit code: call is int $0x80, and has the segment in its upper half */
};

/* Offset in an area of a u64: bytes that all of its agents have loaded (CR_OP_LOAD). Behind the first control block. */
#define CR_AREA_LOADED 2048u
#define CR_LOAD_BUFFER (256ul << 10)

/* Offset for CR_OP_LOAD: from where the descriptor stands, which may be a pipe or a socket. */
#define CR_LOAD_NEXT (~0ull)

#endif
