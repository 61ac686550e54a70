// SPDX-License-Identifier: GPL-2.0-only
// Sizes, times and names for people.

import { makePrintable } from "../log.ts";
import type { Process } from "./model.ts";

/** What turns the direction of text, or stands for bytes that are no UTF-8. */
const MISLEADING = /[\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu;

/** A name from an image, harmless on a terminal and in a page. */
export function safe(text: string): string {
	return makePrintable(text.replaceAll("\n", " ").replaceAll("\t", " ")).replace(MISLEADING, (c) => {
		const code = c.charCodeAt(0);
		return code >= 0xdc80 && code <= 0xdcff ? `\\x${(code - 0xdc00).toString(16)}` : `\\u${code.toString(16)}`;
	});
}

/** A size in bytes, to two or three digits: `4 KiB`, `1.5 MiB`. */
export function size(bytes: number): string {
	if (bytes < 1024) return `${bytes} B`;
	let value = bytes;
	let unit = "";
	for (unit of ["KiB", "MiB", "GiB", "TiB"]) {
		value /= 1024;
		if (value < 1024) break;
	}
	return `${value < 10 ? value.toFixed(1).replace(/\.0$/, "") : Math.round(value)} ${unit}`;
}

/** A time in microseconds. */
export function time(us: number): string {
	if (us < 1000) return `${us} µs`;
	if (us < 1_000_000) return `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms`;
	return `${(us / 1_000_000).toFixed(2)} s`;
}

/** `1 process`, `2 processes`. */
export function count(number: number, one: string, many = `${one}s`): string {
	return `${number} ${number === 1 ? one : many}`;
}

/** A moment as `2026-11-28 03:52 UTC`. */
export function moment(iso: string): string {
	return iso === "" ? "unknown" : `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

/** More of a command line isn't shown to people. */
const MAX_COMMAND = 300;

/** The command line of a process, or its name where there's none. */
export function commandOf({ arguments: words, name, state }: Process): string {
	if (words.length === 0) return state === "zombie" ? `[${name}]` : name;
	const text = words.map((word) => (/^[^\s"'\\]+$/.test(word) ? word : `'${word}'`)).join(" ");
	return text.length > MAX_COMMAND ? `${text.slice(0, MAX_COMMAND)}…` : text;
}

/** A process in the tree. */
export interface TreeLine {
	process: Process;
	depth: number;
	/** The lines of the tree before it, such as `│  └ `. */
	lines: string;
}

/** The processes as a tree, each below its parent. */
export function treeOf(processes: readonly Process[]): TreeLine[] {
	const children = new Map<number, Process[]>();
	for (const process of processes) {
		const siblings = children.get(process.ppid);
		if (siblings === undefined) children.set(process.ppid, [process]);
		else siblings.push(process);
	}
	const tree: TreeLine[] = [];
	const stack = (children.get(0) ?? []).map((process) => ({ process, depth: 0, lines: "", below: "" })).reverse();
	const seen = new Set<number>();
	for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
		const { process, depth, below } = top;
		if (seen.has(process.pid)) continue;
		seen.add(process.pid);
		tree.push({ process, depth, lines: top.lines });
		const kids = children.get(process.pid) ?? [];
		for (let at = kids.length - 1; at >= 0; at--) {
			const isLast = at === kids.length - 1;
			const lines = `${below}${isLast ? "└ " : "├ "}`;
			stack.push({ process: kids[at] as Process, depth: depth + 1, lines, below: `${below}${isLast ? "  " : "│ "}` });
		}
	}
	return tree;
}

/** What kind of dump, in one sentence's beginning. */
export const KIND_TEXTS = {
	dump: "Complete dump",
	"pre-dump": "Pre-dump (memory only)",
	unfinished: "Unfinished dump",
} as const;
