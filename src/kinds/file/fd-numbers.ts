// SPDX-License-Identifier: GPL-2.0-only
import type { FdNumbers } from "../kind.ts";
import { closeFd } from "../../sys/file.ts";
export class FdNumberTable implements FdNumbers {
	readonly passes: Array<{ from: number; to: number }> = [];
	private next = 1000;
	private readonly by = new Map<string, number>();
	constructor(_used: readonly number[]) {}
	reserve(p: string) { let n = this.by.get(p); if (n === undefined) { n = this.next--; this.by.set(p, n); } return n; }
	pass(fd: number, p: string) { const to = this.reserve(p); this.passes.push({ from: fd, to }); return to; }
	closePasses() { for (const p of this.passes) closeFd(p.from); }
}
