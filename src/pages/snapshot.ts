// SPDX-License-Identifier: GPL-2.0-only
// Private memory of tasks that run on, as it was when they stood still: large mappings are write-protected by userfaultfds, and
// copied by threads of the host library (cparts/host/snapshot.c) before they can change. The rest is copied at once.

import { CriuError, ImageError, KernelError } from "../errors.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import { UFFDIO_API } from "../kernel/abi/ioctl.ts";
import { SYS_ioctl } from "../kernel/abi/syscalls.x86_64.ts";
import * as uf from "../kernel/abi/userfaultfd.ts";
import { log } from "../log.ts";
import { closeFd } from "../sys/file.ts";
import { addressOf, pump, stepSnapshot, syscall } from "../sys/host.ts";
import { CrLateTask, CrSnapshot, LATE_HUGE, LATE_SHARED, PIECE_SHARED } from "../sys/host-layout.ts";
import { type Mapping, mapPrivate } from "../sys/memory.ts";
import { duplicate } from "../sys/stream-io.ts";
import type { AheadCopy } from "./ahead.ts";
import type { PlacedRange, Span } from "./places.ts";
import { intersect, type Ranges } from "./ranges.ts";
import { countBytes, PUMP_THREADS, type TaskPages } from "./sink.ts";
import { registerRanges } from "./tracking.ts";

const LATE_WORDS = 4;
const ESTALE = errnoNumber("ESTALE");
const FEATURES =
	uf.UFFD_FEATURE_PAGEFAULT_FLAG_WP |
	uf.UFFD_FEATURE_EVENT_REMAP |
	uf.UFFD_FEATURE_EVENT_REMOVE |
	uf.UFFD_FEATURE_EVENT_UNMAP;

/** Makes a fresh userfaultfd one that lets writers wait, and tells of memory that goes away. @throws KernelError EINVAL */
export function enableSnapshots(uffd: number): void {
	const ret = syscall(SYS_ioctl, uffd, UFFDIO_API, uf.UffdioApi.encode({ api: uf.UFFD_API, features: FEATURES }));
	if (ret < 0) throw new KernelError("ioctl", -ret, "UFFDIO_API");
}

/** A mapping that is worth being protected. */
export interface Protectable {
	readonly start: bigint;
	readonly end: bigint;
	/** It has huge pages. */
	readonly isHuge: boolean;
	/** It's copied already. */
	readonly isCopied?: boolean;
}

/** Pieces as the pump takes them, pairs of address and length, each with its place in the file. */
export interface PlacedPieces {
	offset: bigint;
	readonly pieces: bigint[];
}

/**
 * Divides what goes into a pages file, in its order, into what is copied at once, in runs without gaps, what later, numbers as
 * `struct cr_late` has them, and what is copied already. Pure.
 */
export function splitPieces(
	pieces: BigUint64Array,
	offset: bigint,
	later: readonly Protectable[],
): { now: PlacedPieces[]; late: bigint[]; copied: PlacedRange[] } {
	const now: PlacedPieces[] = [];
	const late: bigint[] = [];
	const copied: PlacedRange[] = [];
	let at = offset;
	let next = 0;
	let run: PlacedPieces | undefined;
	const take = (start: bigint, end: bigint, shared: boolean, mapping: Protectable | undefined) => {
		if (mapping?.isCopied) {
			copied.push({ start, end, offset: at });
			run = undefined;
		} else if (mapping !== undefined) {
			late.push(start, end - start, at, BigInt((shared ? LATE_SHARED : 0) | (mapping.isHuge ? LATE_HUGE : 0)));
			run = undefined;
		} else {
			if (run === undefined) {
				run = { offset: at, pieces: [] };
				now.push(run);
			}
			run.pieces.push(start | BigInt(shared ? PIECE_SHARED : 0), end - start);
		}
		at += end - start;
	};
	for (let i = 0; i < pieces.length; i += 2) {
		const word = pieces[i] ?? 0n;
		const shared = (word & BigInt(PIECE_SHARED)) !== 0n;
		let start = word & ~BigInt(PIECE_SHARED);
		const end = start + (pieces[i + 1] ?? 0n);
		while (start < end) {
			while (next < later.length && (later[next] as Protectable).end <= start) next++;
			const mapping = later[next];
			const isInside = mapping !== undefined && mapping.start <= start;
			const border = mapping === undefined ? end : isInside ? mapping.end : mapping.start;
			const stop = border < end ? border : end;
			take(start, stop, shared, isInside ? mapping : undefined);
			start = stop;
		}
	}
	return { now, late, copied };
}

interface LateTask {
	readonly pid: number;
	readonly memFd: number;
	readonly outFd: number;
	readonly uffd: number;
	readonly late: BigUint64Array;
}

export class Snapshot {
	private readonly held = new Map<number, { uffd: number; mappings: readonly Protectable[] }>();
	private readonly tasks: LateTask[] = [];
	private readonly ahead = new Map<number, { copy: AheadCopy; mappings: Ranges }>();
	private request: Mapping | undefined;

	/** A userfaultfd for a task, ours from now on, and what of it may be protected. */
	hold(pid: number, uffd: number, mappings: readonly Protectable[]): void {
		this.held.set(pid, { uffd, mappings });
	}

	/** Memory that was copied ahead is to be made use of; the copy is ours from now on. `mappings`: those of its task as it stands still. */
	goOn(copy: AheadCopy, mappings: Ranges = []): void {
		this.ahead.set(copy.pid, { copy, mappings });
	}

	/** A copy is of no use any more. */
	forget(copy: AheadCopy): void {
		this.ahead.delete(copy.pid);
		copy[Symbol.dispose]();
	}

	get copies(): AheadCopy[] {
		return [...this.ahead.values()].map(({ copy }) => copy);
	}

	copyOf(pid: number): AheadCopy | undefined {
		return this.ahead.get(pid)?.copy;
	}

	/** Bytes that have been copied ahead. */
	get aheadBytes(): bigint {
		return this.copies.reduce((sum, { bytes }) => sum + bytes, 0n);
	}

	/** Makes what was copied ahead of a task its pages file, and copies the rest of them; false when nothing was. Is for LocalSink. */
	readonly adopt = (task: TaskPages, file: string): boolean => {
		const ahead = this.ahead.get(task.pid);
		if (ahead === undefined) return false;
		const known = ahead.copy.findCopied(ahead.mappings).map((one) => ({ ...one, isHuge: false, isCopied: true }));
		const { now, copied } = splitPieces(task.pieces, 0n, known);
		const pieces = BigUint64Array.from(now.flatMap((run) => run.pieces));
		ahead.copy.name(file);
		ahead.copy.complete(task, copied, pieces, now.map(spanOf), countBytes(task.pieces));
		return true;
	};

	/** Copies pages of a task that stands still into the pages file, or prepares that. Is for LocalSink. */
	readonly copy = (task: TaskPages, outFd: number, offset: number): void => {
		const { pid, memFd, pieces } = task;
		const held = this.held.get(pid);
		const mappings = held === undefined ? [] : this.register(held.uffd, held.mappings);
		const { now, late } = splitPieces(pieces, BigInt(offset), mappings);
		for (const run of now) pumpRun(pid, memFd, outFd, run);
		if (held === undefined || late.length === 0) return;
		const [mem, out] = [duplicate(memFd), duplicate(outFd)];
		this.tasks.push({ pid, memFd: mem, outFd: out, uffd: held.uffd, late: BigUint64Array.from(late) });
		this.held.delete(pid);
	};

	private register(uffd: number, mappings: readonly Protectable[]): readonly Protectable[] {
		const done: Ranges = registerRanges(uffd, [...mappings]) ?? [];
		return mappings.filter(({ start, end }) =>
			intersect([{ start, end }], done).some((one) => one.end - one.start === end - start),
		);
	}

	/** Bytes that are copied while the tasks run. */
	get lateBytes(): bigint {
		let bytes = 0n;
		for (const { late } of this.tasks) for (let i = 1; i < late.length; i += LATE_WORDS) bytes += late[i] ?? 0n;
		return bytes;
	}

	/** All tasks may run on when this returns. What can't be protected is copied before. @throws KernelError */
	start(): void {
		if (this.tasks.length === 0) return;
		const length = CrSnapshot.size + this.tasks.length * CrLateTask.size;
		const request = mapPrivate(length);
		for (const [i, { pid, memFd, outFd, uffd, late }] of this.tasks.entries())
			CrLateTask.write(request.view, CrSnapshot.size + i * CrLateTask.size, {
				pieces: addressOf(late),
				nr_pieces: BigInt(late.length / LATE_WORDS),
				pid,
				mem_fd: memFd,
				out_fd: outFd,
				uffd,
			});
		CrSnapshot.write(request.view, 0, {
			tasks: BigInt(request.address + CrSnapshot.size),
			nr_tasks: BigInt(this.tasks.length),
			handle: 0n,
			failed_at: 0n,
			failed_write: 0,
			pad: 0,
		});
		const ret = stepSnapshot(request.address, "start");
		if (ret === 0) {
			this.request = request;
			return;
		}
		request.unmap();
		log.warn(`no snapshot: memory can't be protected (errno ${-ret}), all is copied while the tree stands still`);
		for (const { pid, memFd, outFd, late } of this.tasks)
			for (let i = 0; i < late.length; i += LATE_WORDS) {
				const [address = 0n, bytes = 0n, offset = 0n, flags = 0n] = late.subarray(i, i + LATE_WORDS);
				pumpRun(pid, memFd, outFd, { offset, pieces: [address | (flags & BigInt(LATE_SHARED)), bytes] });
			}
	}

	/** The tasks run on: copies what's left. */
	run(): void {
		if (this.request !== undefined) stepSnapshot(this.request.address, "copy");
	}

	/** Waits until all is copied. @throws CriuError SNAPSHOT_LOST when memory went away before; KernelError, ImageError */
	finish(): void {
		for (const copy of this.copies) copy.finish();
		const { ret, isWrite } = this.end(false);
		if (ret === 0) return;
		if (!isWrite && ret !== -ESTALE) throw new KernelError("mmap", -ret, "of a buffer for a snapshot");
		if (!isWrite)
			throw new CriuError("SNAPSHOT_LOST", "memory was unmapped, moved or dropped before it could be copied", {
				remedy: "dump again, or without --snapshot",
			});
		throw new ImageError("IMAGE_WRITE", "a pages image can't be written", {
			file: "pages",
			cause: new KernelError("pwrite64", -ret, "of the pages image"),
			remedy: "make room on the file system of the images directory, or use another one (--images-dir)",
		});
	}

	private end(cancel: boolean): { ret: number; isWrite: boolean } {
		const { request } = this;
		if (request === undefined) return { ret: 0, isWrite: false };
		this.request = undefined;
		const ret = stepSnapshot(request.address, cancel ? "cancel" : "end");
		const isWrite = CrSnapshot.read(request.view, 0).failed_write !== 0;
		request.unmap();
		return { ret, isWrite };
	}

	/** Lets the tasks go, also when not all of their memory is copied. */
	[Symbol.dispose](): void {
		this.end(true);
		for (const copy of this.copies) this.forget(copy);
		for (const { uffd } of this.held.values()) closeFd(uffd);
		this.held.clear();
		for (const { memFd, outFd } of this.tasks.splice(0)) {
			closeFd(memFd);
			closeFd(outFd);
		}
	}
}

/** Where a run of pieces goes. */
function spanOf({ offset, pieces }: PlacedPieces): Span {
	return { to: offset, bytes: countBytes(pieces) };
}

function pumpRun(pid: number, memFd: number, outFd: number, { offset, pieces }: PlacedPieces): void {
	pump({ pid, memFd, outFd, offset, pieces: BigUint64Array.from(pieces), threads: PUMP_THREADS });
}
