// SPDX-License-Identifier: GPL-2.0-only
// Descriptor numbers of a process under construction that none of its restored files will use: what criu hands over lies
// there, and what must be kept for a while.

import { CriuError } from "../../errors.ts";
import { F_DUPFD_CLOEXEC, O_PATH } from "../../kernel/abi/fcntl.ts";
import { SYS_fcntl } from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd, openAt } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import { getFdLimit } from "../../sys/limits.ts";
import type { FdNumbers } from "../kind.ts";

/** The kernel's first table of descriptors: a process that needs no more shows FDSize 64. */
const FIRST_TABLE = 64;
/** Numbers that stay free below all reserved ones, so that operations which take the lowest free one never get those. */
const SPARE = 8;
/** A task with so many descriptors may take so many numbers more for a while: the lowest ones that it has no files under. */
export const LARGE_TABLE = 64;
export const MOST_GAPS = 8;

/**
 * Picks from the top of the smallest table that holds all restored descriptors: the new process then needs no larger table
 * than the old one. A picked number is taken in our own table too, so no other descriptor of ours can be in its way.
 */
export class FdNumberTable implements FdNumbers {
	/** What the new process gets, for spawn(). */
	readonly passes: { from: number; to: number }[] = [];
	private readonly used: ReadonlySet<number>;
	private readonly byPurpose = new Map<string, number>();
	private readonly held: number[] = [];
	private readonly limit: number;
	private bottom: number;
	private top: number;
	private next: number;
	private anchor = -1;

	/** `used`: numbers of the restored files. */
	constructor(used: Iterable<number>, limit: number = getFdLimit().soft) {
		this.used = new Set(used);
		this.limit = limit;
		this.bottom = this.findBottom();
		let highest = this.bottom;
		for (const fd of this.used) highest = Math.max(highest, fd);
		this.top = FIRST_TABLE;
		while (this.top <= highest) this.top *= 2;
		this.top = Math.min(this.top, limit);
		this.next = this.top - 1;
	}

	/** The lowest number with enough unused ones below it. */
	private findBottom(): number {
		let spare = 0;
		let at = 0;
		const wanted = SPARE + (this.used.size < LARGE_TABLE ? 0 : MOST_GAPS);
		for (; spare < wanted; at++) if (!this.used.has(at)) spare++;
		return at;
	}

	/** Duplicates `source` to a number that's free here and there. */
	private take(source: number): number {
		for (;;) {
			if (this.next < this.bottom) this.grow();
			const candidate = this.next--;
			if (candidate < this.bottom || this.used.has(candidate)) continue;
			const got = syscall(SYS_fcntl, source, F_DUPFD_CLOEXEC, candidate);
			if (got < 0) throw this.exhausted();
			if (got === candidate) {
				this.held.push(got);
				return got;
			}
			closeFd(got);
		}
	}

	private grow(): void {
		if (this.top >= this.limit) throw this.exhausted();
		this.bottom = Math.max(this.bottom, this.top);
		this.top = Math.min(this.top * 2, this.limit);
		this.next = this.top - 1;
	}

	private exhausted(): CriuError {
		return new CriuError("FD_LIMIT", `no descriptor numbers are left below the limit of ${this.limit}`, {
			remedy: "raise the limit for criu: ulimit -Hn 1048576",
		});
	}

	reserve(purpose: string): number {
		const known = this.byPurpose.get(purpose);
		if (known !== undefined) return known;
		if (this.anchor < 0) this.anchor = openAt("/", O_PATH);
		const number = this.take(this.anchor);
		this.byPurpose.set(purpose, number);
		return number;
	}

	/** `ownFd` belongs to the table from here on. */
	pass(ownFd: number, purpose: string): number {
		try {
			const number = this.take(ownFd);
			this.byPurpose.set(`pass ${number}: ${purpose}`, number);
			this.passes.push({ from: number, to: number });
			return number;
		} finally {
			closeFd(ownFd);
		}
	}

	/** Closes our copies, once the new process has its own or won't be made. */
	closePasses(): void {
		for (const fd of this.held.splice(0)) closeFd(fd);
		if (this.anchor >= 0) closeFd(this.anchor);
		this.anchor = -1;
	}
}
