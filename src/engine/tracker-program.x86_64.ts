// SPDX-License-Identifier: GPL-2.0-only
// The program that keeps descriptors open for as long as any of some processes lives: it waits for their pidfds, one after the
// other, and ends. Everything about it that a later criu wants to know is in the descriptors.

import { buildCodeElf } from "../agent/elf.x86_64.ts";

const NAME_AT = 0x68;
const ROOT_AT = 0x78;
const TABLE_AT = 0x80;
const POLLIN = 1n;

/** What `ps` shows; a later criu finds it by this. */
export const TRACKER_NAME = "criu-track";

const CODE = Uint8Array.from(
	[
		"b89d000000", // mov $SYS_prctl, %eax
		"bf0f000000", // mov $PR_SET_NAME, %edi
		"488d3557000000", // lea name, %rsi
		"0f05",
		"b870000000", // mov $SYS_setsid, %eax
		"0f05",
		"b850000000", // mov $SYS_chdir, %eax
		"488d3d52000000", // lea root, %rdi
		"0f05",
		"488d1d51000000", // lea table, %rbx
		"bd00000000", // mov $count, %ebp
		"ff33", // next: push (%rbx)
		"b807000000", // again: mov $SYS_poll, %eax
		"4889e7", // mov %rsp, %rdi
		"be01000000", // mov $1, %esi
		"baffffffff", // mov $-1, %edx
		"0f05",
		"83f8fc", // cmp $-EINTR, %eax
		"74e7", // je again
		"58", // pop %rax
		"4883c308", // add $8, %rbx
		"ffcd", // dec %ebp
		"75dc", // jnz next
		"b8e7000000", // mov $SYS_exit_group, %eax
		"31ff", // xor %edi, %edi
		"0f05",
		"0f0b",
	]
		.join("")
		.match(/../g)
		?.map((byte) => Number.parseInt(byte, 16)) ?? [],
);
const COUNT_AT = 0x30;

/** The program's file for these pidfds. Pure. */
export function makeTrackerProgram(pidfds: readonly number[]): Uint8Array {
	const bytes = new Uint8Array(TABLE_AT + pidfds.length * 8);
	const view = new DataView(bytes.buffer);
	bytes.set(CODE);
	view.setUint32(COUNT_AT, pidfds.length, true);
	bytes.set(new TextEncoder().encode(TRACKER_NAME), NAME_AT);
	bytes.set(new TextEncoder().encode("/"), ROOT_AT);
	// struct pollfd: descriptor, events, answer.
	for (const [i, fd] of pidfds.entries()) view.setBigUint64(TABLE_AT + i * 8, BigInt(fd) | (POLLIN << 32n), true);
	return buildCodeElf(bytes);
}
