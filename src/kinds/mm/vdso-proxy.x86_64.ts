// SPDX-License-Identifier: GPL-2.0-only
// A vdso of another kernel: the program keeps the pages it knows, whose functions it may have looked up long ago, at their
// place; each begins with a jump to the function of the same name in this kernel's vdso, which lies near by. Where the old
// one had its data (vvar) there are pages of zeros: code of the old vdso that still runs finds a clock that it can't read
// and makes a system call instead. Source: vdso(7), lib/vdso/gettimeofday.c.

import { TASK_SIZE } from "../../kernel/abi/task-size.x86_64.ts";
import type { AddressRange } from "./inherit.ts";
import type { VdsoSymbols } from "./vdso-symbols.ts";

const PAGE = 4096n;
/** `jmp rel32`, in 32-bit code as well. */
export const JUMP_LENGTH = 5;
const JUMP_OPCODE = 0xe9;
/** How far a jump reaches, less some room. */
const REACH = (1n << 31n) - (1n << 20n);
/** Distance to what lies beside. */
const MARGIN = 16n * PAGE;
/** Room that a stack may want to grow down into, and a heap up. */
const GROWTH = 1n << 28n;
const MIN_ADDRESS = 0x10000n;

/** Functions whose code does without the kernel's data or asks the kernel when those are zeros. */
const KEPT = /^(__vdso_)?(getcpu|getrandom|sgx_enter_enclave)$/;

/** Where jumps go: offset in the old vdso, offset in this kernel's. */
export interface Redirections {
	readonly jumps: ReadonlyMap<number, number>;
	/** Functions that stay as they are. */
	readonly kept: readonly string[];
	/** Why it can't be done; undefined when it can. */
	readonly problem: string | undefined;
}

/** Pairs the functions of two vdsos by name. Pure. */
export function pairFunctions(old: VdsoSymbols, own: VdsoSymbols, oldLength: number): Redirections {
	const jumps = new Map<number, number>();
	const kept: string[] = [];
	const fail = (problem: string) => ({ jumps, kept, problem });
	for (const [name, offset] of old) {
		const target = own.get(name) ?? own.get(`__vdso_${name}`);
		if (target === undefined) {
			if (!KEPT.test(name)) return fail(`this kernel's vdso has no ${name}`);
			kept.push(name);
			continue;
		}
		const known = jumps.get(offset);
		if (known !== undefined && known !== target) return fail(`${name} is no function of its own`);
		jumps.set(offset, target);
	}
	if (jumps.size === 0) return fail("it has no function that this kernel's has");
	const starts = [...new Set(old.values())].sort((a, b) => a - b);
	for (const [i, start] of starts.entries())
		if ((starts[i + 1] ?? oldLength) - start < JUMP_LENGTH) return fail("its functions are too short");
	return { jumps, kept, problem: undefined };
}

/** The old vdso's bytes with a jump at each function. `oldStart` and `ownStart`: addresses in the task. Pure. */
export function writeJumps(
	bytes: Uint8Array,
	jumps: ReadonlyMap<number, number>,
	oldStart: bigint,
	ownStart: bigint,
): Uint8Array {
	const changed = bytes.slice();
	const view = new DataView(changed.buffer);
	for (const [from, to] of jumps) {
		view.setUint8(from, JUMP_OPCODE);
		view.setInt32(from + 1, Number(ownStart + BigInt(to) - (oldStart + BigInt(from + JUMP_LENGTH))), true);
	}
	return changed;
}

/**
 * The free place next to an address, from which and to which a jump reaches; undefined when there's none. `taken`: sorted;
 * a range may say that it grows at an end. Nothing lies above `limit`. Pure.
 */
export function findPlaceNear(
	address: bigint,
	length: bigint,
	taken: ReadonlyArray<AddressRange & { readonly grows?: "up" | "down" }>,
	limit = TASK_SIZE,
): bigint | undefined {
	let best: bigint | undefined;
	const distance = (place: bigint) => (place > address ? place + length - address : address - place);
	let before: (AddressRange & { readonly grows?: "up" | "down" }) | undefined;
	for (const range of [...taken.filter(({ start }) => start < limit), { start: limit, end: limit }]) {
		const from = (before?.end ?? MIN_ADDRESS) + (before?.grows === "up" ? GROWTH : MARGIN);
		const to = range.start - ("grows" in range && range.grows === "down" ? GROWTH : MARGIN) - length;
		if (from <= to) {
			const place = from > address ? from : to < address ? to : from;
			if (distance(place) < REACH && (best === undefined || distance(place) < distance(best))) best = place;
		}
		if (before === undefined || range.end > before.end) before = range;
	}
	return best;
}
