// SPDX-License-Identifier: GPL-2.0-only
// The pages files that a restore reads from: one for each level of images that build on each other. Of images that are streamed or
// compressed, the files are ours, freed as they're read, or the stream itself, read once from its beginning to its end.

import { LOAD_BUFFER } from "../../agent/layout.ts";
import type { Program } from "../../agent/program.ts";
import { BugError } from "../../errors.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from "../../kernel/abi/fcntl.ts";
import { MAP_ANONYMOUS, MAP_FIXED_NOREPLACE, MAP_PRIVATE } from "../../kernel/abi/mman.ts";
import { SYS_close, SYS_fallocate, SYS_mmap, SYS_munmap, SYS_read } from "../../kernel/abi/syscalls.x86_64.ts";
import { listFiles, missingPages, openChainFile, type PageChain } from "../../pages/chain.ts";
import { type EarlyPages, readEarly } from "../../pages/early-pages.ts";
import { earlier, type PageRun } from "../../pages/pagemap.ts";
import { statFd } from "../../sys/file.ts";
import type { RestoreContext, TaskPlan } from "../kind.ts";

const FREED_AT_ONCE = 4n << 20n;
const SKIPPED_AT_ONCE = 64n << 10n;
/** Offset of a read from where the descriptor stands. */
const NEXT = (1n << 64n) - 1n;

/** A stream that one task reads for itself. */
interface Straight {
	readonly fd: number;
	/** In bytes; undefined where it isn't known. */
	readonly length: bigint | undefined;
	/** What was read or skipped. */
	at: bigint;
}

/** The pages files of a chain under their numbers in the new process, which are ours too until it's made. */
export class PageFiles {
	/** What was read last and not freed yet, in one file. */
	private read = { level: -1, start: 0n, end: 0n };

	private constructor(
		private readonly byLevel: ReadonlyMap<number, number>,
		private readonly plan: TaskPlan,
		/** Levels whose files are ours alone: they are freed as they're read, so that both together never take more than the pages do. */
		private readonly inMemory: ReadonlySet<number>,
		private readonly straight: Straight | undefined,
		/** What can be seen of files whose content comes later; undefined where all can be. */
		private readonly early: readonly EarlyPages[] | undefined,
	) {}

	/**
	 * Passes on the files that a chain needs. `inOrder`: they will be read by `planReads` alone, in ascending order.
	 *
	 * @throws ImageError
	 */
	static pass(chain: PageChain, plan: TaskPlan, context: RestoreContext, inOrder = false): PageFiles {
		const { dir } = context;
		const byLevel = new Map<number, number>();
		const inMemory = new Set<number>();
		let straight: Straight | undefined;
		const files = listFiles(chain);
		const early = dir.hasPagesLast || (inOrder && dir.isStreamed) ? readEarly(dir, plan.pid) : [];
		const canBeStraight = inOrder && (dir.hasPagesLast || early.length > 0);
		for (const file of files) {
			const source = canBeStraight ? dir.openStraight(file.name) : undefined;
			const number = plan.numbers.pass(source?.fd ?? openChainFile(dir, file, chain.file), file.name);
			const size = source === undefined ? statFd(number).size : source.length;
			const length = size === undefined ? undefined : BigInt(size);
			if (length !== undefined && length < file.bytes) throw missingPages(file, chain.file);
			if (source !== undefined) straight = { fd: number, length, at: 0n };
			byLevel.set(file.level, number);
			if (source === undefined && (dir.isStreamed || (file.level === 0 && dir.hasMade(file.name))))
				inMemory.add(file.level);
		}
		const isLate = dir.hasPagesLast || straight !== undefined;
		return new PageFiles(byLevel, plan, inMemory, straight, isLate ? early : undefined);
	}

	/** The file that a run lies in. */
	get({ level }: PageRun): number {
		return this.byLevel.get(level) ?? -1;
	}

	/** True when the content of the files comes later. */
	get isLate(): boolean {
		return this.early !== undefined;
	}

	/** Memory that was sent ahead; undefined when it wasn't. */
	findEarly(start: bigint, length: bigint): Uint8Array | undefined {
		const found = this.early?.find((one) => one.start === start && BigInt(one.bytes.length) >= length);
		return found?.bytes.slice(0, Number(length));
	}

	/**
	 * Adds reads of a part of a run, from `offset` of its file on; `read` adds one of them, from an offset. Nobody may need these pages
	 * again: where the files are ours they are freed.
	 */
	planReads(
		program: Program,
		run: PageRun,
		offset: bigint,
		bytes: bigint,
		read: (done: bigint, length: bigint, from: bigint) => void,
	): void {
		const { straight } = this;
		if (straight !== undefined) {
			this.skip(program, straight, offset);
			read(0n, bytes, NEXT);
			straight.at = offset + bytes;
			return;
		}
		if (!this.inMemory.has(run.level)) {
			read(0n, bytes, offset);
			return;
		}
		for (let done = 0n; done < bytes; done += FREED_AT_ONCE) {
			const length = earlier(FREED_AT_ONCE, bytes - done);
			read(done, length, offset + done);
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

	/** Passes over pages that nobody wants, up to an offset. */
	private skip(program: Program, straight: Straight, to: bigint): void {
		if (to < straight.at) throw new BugError(`a stream of pages can't be read again from ${to} on`);
		if (to === straight.at) return;
		// Behind the buffer of loads.
		const scratch = this.plan.scratch + BigInt(LOAD_BUFFER);
		const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
		program.syscall("map a buffer", SYS_mmap, [scratch, SKIPPED_AT_ONCE, 3, flags, -1, 0], {
			check: { equal: scratch },
			remedies: { ENOMEM: "free memory" },
		});
		for (; straight.at < to; straight.at = earlier(straight.at + SKIPPED_AT_ONCE, to))
			program.fill("pass over pages", SYS_read, [straight.fd, scratch, earlier(SKIPPED_AT_ONCE, to - straight.at), 0n]);
		program.syscall("unmap the buffer", SYS_munmap, [scratch, SKIPPED_AT_ONCE]);
	}

	/** Adds what closes them. */
	planClose(program: Program): void {
		const { straight } = this;
		if (straight?.length !== undefined) this.skip(program, straight, straight.length);
		for (const fd of this.byLevel.values()) program.syscall("close the pages image", SYS_close, [fd]);
	}
}
