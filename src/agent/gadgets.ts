// SPDX-License-Identifier: GPL-2.0-only
// The instructions that injection needs, of the sort that a task's code is.

import { POINTER_END_32 } from "../kernel/abi/task-size.x86_64.ts";
import type { VmaFacts } from "../kernel/procfs/maps.ts";
import { findGadgets32 } from "./gadgets.ia32.ts";
import { findGadgets64, type Gadgets } from "./gadgets.x86_64.ts";

export { type Gadgets, holdsGadgets } from "./gadgets.x86_64.ts";

const VSYSCALL = 0xffffffffff600000n;

/** True when all of a task's code lies where 32-bit code reaches: it's a 32-bit program, as a rule. */
export function looksLikeIa32(vmas: readonly VmaFacts[]): boolean {
	return vmas.every(({ start, end }) => end <= POINTER_END_32 || start === VSYSCALL);
}

/** Finds the instructions in the executable mappings of a task; undefined when it has no way to leave a signal frame. */
export function findGadgets(pid: number, vmas: readonly VmaFacts[], isIa32: boolean): Gadgets | undefined {
	return isIa32 ? findGadgets32(pid, vmas) : findGadgets64(pid, vmas);
}
