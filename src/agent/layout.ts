// SPDX-License-Identifier: GPL-2.0-only
// The structures that engine and agent share, as cparts/agent/agent.h lays them out, and where they lie in the area.

import { defineStruct } from "../kernel/abi/struct.ts";

export const PAGE_SIZE = 4096;

export const OP_SYSCALL = 1;
export const OP_COPY = 2;
export const OP_MERGE = 3;
export const OP_STORE = 4;
export const OP_CLONE = 5;
export const OP_WAIT = 6;
export const OP_WAKE = 7;
export const OP_REAP = 8;
export const OP_FILL = 9;
export const OP_LOAD = 10;
export const OP_BORROW = 11;
export const OP_GIVE_BACK = 12;
export const OP_MOVE = 13;
export const OP_PLACE = 14;
export const OP_SYSCALL32 = 15;

export const CHECK_NONE = 0;
export const CHECK_NO_ERROR = 1;
export const CHECK_EQUAL = 2;
export const CHECK_NO_ERROR_OR = 3;

export const ARG_CONST = 0;
export const ARG_AREA = 1;
export const ARG_RESULT = 2;
export const ARG_LOAD32 = 3;
export const ARG_LOAD64 = 4;

export const CTL_RESTART = 1;
export const CTL_SPIN = 2;

/** `struct cr_op`. */
export const CrOp = defineStruct("cr_op", 80, {
	code: ["u16", 0],
	check: ["u16", 2],
	nr: ["u32", 4],
	kinds: ["u32", 8],
	tag: ["u32", 12],
	expect: ["i64", 16],
	arg: ["u64", 24, 6],
	result: ["i64", 72],
});

/** `struct cr_ctl`. */
export const CrCtl = defineStruct("cr_ctl", 120, {
	lock: ["u32", 0],
	cmd_seq: ["u32", 4],
	ack_seq: ["u32", 8],
	flags: ["u32", 12],
	area: ["u64", 16],
	program: ["u64", 24],
	nr_ops: ["u32", 32],
	failed: ["u32", 36],
	error: ["i64", 40],
	chain_sp: ["u64", 48],
	frame_rax: ["u64", 56],
	frame_rip: ["u64", 64],
	orig_rip: ["u64", 72],
	orig_mask: ["u64", 80],
	borrowed: ["u64", 88],
	slots: ["u64", 96],
	nr_slots: ["u32", 104],
	done: ["u32", 108],
	gone: ["u32", 112],
});

/** Where a led thread is, see agent.h. */
export const SLOT_FREE = 0;
export const SLOT_LED = 1;
export const SLOT_INSIDE = 2;
export const SLOT_LEFT = 3;

/** `struct cr_slot`. */
export const CrSlot = defineStruct("cr_slot", 72, {
	state: ["u32", 0],
	nr_ops: ["u32", 4],
	ret_at: ["u64", 8],
	home: ["u64", 16],
	call: ["u64", 24],
	leave_sp: ["u64", 32],
	stack: ["u64", 40],
	program: ["u64", 48],
	error: ["i64", 56],
	failed: ["u32", 64],
	is_ia32: ["u32", 68],
});

/** `struct cr_blob_header`. */
export const CrBlobHeader = defineStruct("cr_blob_header", 56, {
	magic: ["u32", 0],
	version: ["u32", 4],
	entry_loop: ["u32", 8],
	entry_exec: ["u32", 12],
	area: ["u64", 16],
	area_len: ["u64", 24],
	area_fd: ["u32", 32],
	ctl: ["u32", 36],
	loop: ["u32", 40],
	stack: ["u32", 44],
	entry_thread: ["u32", 48],
	entry_thread32: ["u32", 52],
});

export const AGENT_MAGIC = 0x41475243;
export const AGENT_VERSION = 1;

/** Every area starts with the control block of its first agent and the code; programs and stacks follow. */
export const AREA_CTL = 0;
/** A u64: bytes that agents have loaded (CR_AREA_LOADED). */
export const AREA_LOADED = 2048;
/** Size of the buffer that loads by way of /proc/self/mem need (CR_LOAD_BUFFER). */
export const LOAD_BUFFER = 256 * 1024;
export const AREA_BLOB = PAGE_SIZE;
export const AREA_PROGRAM = 2 * PAGE_SIZE;

/** Stack of one agent: also room for a signal handler that runs while the agent finishes a call on its own. */
export const AGENT_STACK = 8 * PAGE_SIZE;

/** Reads and checks the header of the agent's code. */
export function readBlobHeader(blob: Uint8Array) {
	const header = CrBlobHeader.read(new DataView(blob.buffer, blob.byteOffset, blob.byteLength));
	if (header.magic !== AGENT_MAGIC || header.version !== AGENT_VERSION || blob.length > PAGE_SIZE)
		throw new TypeError("the agent built into this program doesn't belong to it");
	const { entry_loop, entry_exec, entry_thread, entry_thread32 } = header;
	return { entryLoop: entry_loop, entryExec: entry_exec, entryThread: entry_thread, entryThread32: entry_thread32 };
}
