// SPDX-License-Identifier: GPL-2.0-only
// Uprobes: breakpoints of the kernel's tracing in a program's text, which the kernel puts in again when the text is mapped, and
// a page, [uprobes], on which it runs what they stand for. With --allow-uprobes the page is left out of the images: the
// kernel makes a new one. Source: Documentation/trace/uprobetracer.rst, kernel/events/uprobes.c.

import { getReg, REG } from "../../agent/registers.x86_64.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import { findVmaAt } from "../../kernel/procfs/maps.ts";
import { readMemory } from "../../sys/process.ts";
import type { DumpContext, DumpedTask } from "../kind.ts";
import { classifyVma } from "./vma.ts";

/** How much of a stack is searched. */
const STACK_LIMIT = 1n << 20n;

/** Notes for the inventory that a task has uprobes. */
const KEY = "uprobes:met";
interface Note {
	met: boolean;
}

const noteOf = (context: DumpContext) => context.once<Note>(KEY, () => ({ met: false }));

/** Says that a mapping of uprobes has been left out. */
export function noteUprobes(context: DumpContext): void {
	noteOf(context).met = true;
}

export function hasMetUprobes(context: DumpContext): boolean {
	return noteOf(context).met;
}

/**
 * Threads that are on the page, or will return to it: a probe at a function's return (uretprobe) has put its address on the
 * stack. The kernel's side of that can't be kept.
 */
export function findUprobesInUse(task: DumpedTask): CriuError[] {
	const page = task.vmas.find((vma) => classifyVma(vma) === "uprobes");
	if (page === undefined) return [];
	const found: CriuError[] = [];
	for (const { tid, stopped } of task.threads) {
		const [ip, sp] = [getReg(stopped.regs, REG.ip), getReg(stopped.regs, REG.sp)];
		const stack = findVmaAt(task.vmas, sp);
		const isOn = (address: bigint) => address >= page.start && address < page.end;
		const end = stack === undefined ? sp : stack.end - sp > STACK_LIMIT ? sp + STACK_LIMIT : stack.end;
		const words = readMemory(tid, sp & ~7n, Number((end - (sp & ~7n)) / 8n) * 8);
		if (!isOn(ip) && !new BigUint64Array(words.buffer, 0, words.length >> 3).some(isOn)) continue;
		found.push(
			new UnsupportedError("UNSUPPORTED_MAPPING", `thread ${tid} is in a function whose return has a uprobe`, {
				remedy: "remove the uretprobe, or dump when the function has returned",
			}),
		);
	}
	return found;
}
