// SPDX-License-Identifier: GPL-2.0-only
// The pages files that a restore reads from: one for each level of images that build on each other.

import type { Program } from "../../agent/program.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from "../../kernel/abi/fcntl.ts";
import { SYS_close, SYS_fallocate } from "../../kernel/abi/syscalls.x86_64.ts";
import { listFiles, missingPages, openChainFile, type PageChain } from "../../pages/chain.ts";
import { earlier, type PageRun } from "../../pages/pagemap.ts";
import { statFd } from "../../sys/file.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";

const FREED_AT_ONCE = 4n << 20n;

/** The pages files of a chain under their numbers in the new process, which are ours too until it's made. */
export class PageFiles {
	/** What was read last and not freed yet, in one file. */
	private read = { level: -1, start: 0n, end: 0n };

	private constructor(
		private readonly byLevel: ReadonlyMap<number, number>,
		/** The files are memory, which is given back as it's read: both together never take more than the pages do. */
		private readonly frees: boolean,
	) {}

	/** Passes on the files that a chain needs. @throws ImageError */
	static pass(chain: PageChain, plan: TaskPlan, context: RestoreContext): PageFiles {
		const byLevel = new Map<number, number>();
		for (const file of listFiles(chain)) {
			const number = plan.numbers.pass(openChainFile(context.dir, file, chain.file), file.name);
			if (statFd(number).size < file.bytes) throw missingPages(file, chain.file);
			byLevel.set(file.level, number);
		}
		return new PageFiles(byLevel, context.dir.isStreamed);
	}

	/** The file that a run lies in. */
	get({ level }: PageRun): number {
		return this.byLevel.get(level) ?? -1;
	}

	/**
	 * Adds reads of a part of a run, from `offset` of its file on; `read` adds one of them. Nobody may need these pages again: where
	 * the files are memory they are freed.
	 */
	planReads(
		program: Program,
		run: PageRun,
		offset: bigint,
		bytes: bigint,
		read: (done: bigint, length: bigint) => void,
	): void {
		if (!this.frees) {
			read(0n, bytes);
			return;
		}
		for (let done = 0n; done < bytes; done += FREED_AT_ONCE) {
			const length = earlier(FREED_AT_ONCE, bytes - done);
			read(done, length);
			this.free(program, run, offset + done, length);
		}
	}

	private free(program: Program, run: PageRun, start: bigint, length: bigint): void {
		const { level } = run;
		const follows = this.read.level === level && this.read.end === start;
		this.read = { level, start: follows ? this.read.start : start, end: start + length };
		const held = this.read.end - this.read.start;
		if (held < FREED_AT_ONCE) return;
		const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		program.syscall("free what was read", SYS_fallocate, [this.get(run), mode, this.read.start, held]);
		this.read = { level: -1, start: 0n, end: 0n };
	}

	/** Adds what closes them. */
	planClose(program: Program): void {
		for (const fd of this.byLevel.values()) program.syscall("close the pages image", SYS_close, [fd]);
	}
}
