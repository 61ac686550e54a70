// SPDX-License-Identifier: GPL-2.0-only
// Instructions for injection into 32-bit code: `int $0x80` with a way to its `ret`, and rt_sigreturn. The vdso that the kernel gives
// to 32-bit programs has both (__kernel_vsyscall, __kernel_rt_sigreturn), as have C libraries.

import type { VmaFacts } from "../kernel/procfs/maps.ts";
import { readMemory } from "../sys/process.ts";
import { type Gadgets, readCode, restorerAt } from "./gadgets.x86_64.ts";

const INT_80 = Buffer.from([0xcd, 0x80]);
/** `mov $173, %eax; int $0x80` */
const RT_SIGRETURN = Buffer.from([0xb8, 0xad, 0x00, 0x00, 0x00, 0xcd, 0x80]);
const RET = 0xc3;
const POP_EAX = 0x58;
const POP_ESP = 0x5c;
const POP_EDI = 0x5f;
/** __kernel_vsyscall pops three. */
const MAX_POPS = 6;

const isVdso = ({ name }: VmaFacts) => Buffer.from(name).toString("latin1") === "[vdso]";

/** Words that are popped between a call and its `ret`; undefined when something else is there. */
function countPops(code: Buffer, from: number): number | undefined {
	for (let pops = 0; pops <= MAX_POPS; pops++) {
		const byte = code[from + pops];
		if (byte === RET) return pops;
		if (byte === undefined || byte < POP_EAX || byte > POP_EDI || byte === POP_ESP) return undefined;
	}
	return undefined;
}

function findCall(code: Buffer): { at: number; pops: number } | undefined {
	for (let at = code.indexOf(INT_80); at >= 0; at = code.indexOf(INT_80, at + 1)) {
		const pops = countPops(code, at + INT_80.length);
		if (pops !== undefined) return { at, pops };
	}
	return undefined;
}

/** Finds the instructions in the executable mappings of a task of 32-bit code; undefined when it lacks them. */
export function findGadgets32(pid: number, vmas: readonly VmaFacts[]): Gadgets | undefined {
	let call: { at: bigint; pops: number } | undefined;
	let restorer: bigint | undefined;
	// The vdso has both, as a rule, and is small.
	for (const part of [vmas.filter(isVdso), vmas.filter((vma) => !isVdso(vma))])
		for (const { bytes, at } of readCode(pid, part)) {
			const found = call === undefined ? findCall(bytes) : undefined;
			if (found !== undefined) call = { at: at + BigInt(found.at), pops: found.pops };
			const index = restorer === undefined ? bytes.indexOf(RT_SIGRETURN) : -1;
			if (index >= 0) restorer = at + BigInt(index);
			if (call === undefined || restorer === undefined) continue;
			const proof = [
				{ at: call.at, length: INT_80.length + call.pops + 1 },
				{ at: restorer, length: RT_SIGRETURN.length },
			].map((place) => ({ at: place.at, bytes: readMemory(pid, place.at, place.length) }));
			return { isIa32: true, syscallRet: call.at, callWords: call.pops, wayOut: restorerAt(restorer), proof };
		}
	return undefined;
}
