// SPDX-License-Identifier: GPL-2.0-only
// The robust futex list of the engine's thread. Agents watch a lock word that this thread holds; when the thread dies,
// however it dies, the kernel marks every word on the list and wakes the waiter.
// Source: set_robust_list(2), Documentation/locking/robust-futex-ABI.rst.

import { SYS_get_robust_list, SYS_gettid, SYS_set_robust_list } from "../kernel/abi/syscalls.x86_64.ts";
import { addressOf, mustSyscall, syscall } from "../sys/host.ts";
import { type Mapping, mapPrivate, type Room } from "../sys/memory.ts";
import { PAGE_SIZE } from "./layout.ts";

export const FUTEX_WAITERS = 0x80000000;
const HEAD_SIZE = 24;

/** The list's head, in memory of our own: first entry, distance from a node to its lock word, pending entry. */
let head: Mapping | undefined;
let libcHead: { address: bigint; length: number } | undefined;
/** The last one is the first of the kernel's list, the first one points back to the head. */
const held: Room[] = [];
const answer = new BigUint64Array(2);

function pointTo(from: Room, to: Room): void {
	from.view.setBigUint64(0, BigInt(to.address), true);
}

function installHead(): Mapping {
	if (head !== undefined) return head;
	head = mapPrivate(PAGE_SIZE);
	mustSyscall("", SYS_get_robust_list, 0, addressOf(answer), addressOf(answer) + 8n);
	libcHead = { address: answer[0] ?? 0n, length: Number(answer[1] ?? 0n) };
	head.view.setBigUint64(0, BigInt(head.address), true);
	head.view.setBigInt64(8, BigInt(PAGE_SIZE), true);
	head.view.setBigUint64(16, 0n, true);
	mustSyscall("", SYS_set_robust_list, head.address, HEAD_SIZE);
	return head;
}

/** The value of a lock word that this thread holds. WAITERS stays set for ever: the kernel wakes only then. */
export function lockWord(): number {
	return (syscall(SYS_gettid) | FUTEX_WAITERS) >>> 0;
}

/** Links a node: a page of ours whose lock word lies exactly one page above its start. */
export function holdLock(node: Room): void {
	const first = installHead();
	// Its own pointer comes first: the list is whole at any instant.
	pointTo(node, held.at(-1) ?? first);
	pointTo(first, node);
	held.push(node);
}

/** Unlinks a node, before its page is unmapped. With the last one the C library gets its own list back. */
export function dropLock(node: Room): void {
	const index = held.indexOf(node);
	if (index < 0 || head === undefined) return;
	pointTo(held[index + 1] ?? head, held[index - 1] ?? head);
	held.splice(index, 1);
	if (held.length > 0 || libcHead === undefined) return;
	syscall(SYS_set_robust_list, libcHead.address, libcHead.length);
	head.unmap();
	head = undefined;
}
