// SPDX-License-Identifier: GPL-2.0-only
// Memory of a task that is copied ahead of a snapshot, while the task runs: the kernel notes what is written meanwhile
// (tracking.ts), so that in the end only that has to be copied from the task that stands still. What lies elsewhere in the pages
// file by then is moved when the task runs on.

import { isErrno, KernelError } from "../errors.ts";
import { AT_FDCWD, AT_SYMLINK_FOLLOW, O_CLOEXEC, O_RDWR, O_TMPFILE } from "../kernel/abi/fcntl.ts";
import { UFFDIO_WRITEPROTECT } from "../kernel/abi/ioctl.ts";
import { SYS_ioctl, SYS_linkat, SYS_unlinkat } from "../kernel/abi/syscalls.x86_64.ts";
import { UffdioWriteprotect } from "../kernel/abi/userfaultfd.ts";
import { closeFd, openAt, scopedFd, toCString } from "../sys/file.ts";
import { mustSyscall, pump, syscall } from "../sys/host.ts";
import { PUMP_LIVE } from "../sys/host-layout.ts";
import { setLength } from "../sys/stream-io.ts";
import { earlier } from "./pagemap.ts";
import { copyPart, findMoves, findPlaces, moveParts, type PlacedRange, placeRanges, type Span } from "./places.ts";
import { intersect, lengthOf, type Ranges } from "./ranges.ts";
import { type ScannedVma, scanMemory, scanWritten } from "./scan.ts";
import { openMemory, PUMP_THREADS, type TaskPages } from "./sink.ts";
import { findUnchanged, registerRanges } from "./tracking.ts";

/** So much is armed or let go at once: meanwhile the task can't change its mappings. */
const SLICE = 64n << 20n;
/** So much of written memory is copied from a task that stands still. */
const SETTLED_BYTES = 16n << 20n;
/** So much at most. */
const LIMIT_BYTES = 48n << 20n;
const ROUNDS = 3;
/** Around a mapping that has changed so much counts as written. */
const SMALLEST = 1n << 20n;
const PAGE = 4096n;
const EOPNOTSUPP = 95;

/** A file without a name, undefined where the file system has none. */
function createNameless(dirFd: number): number | undefined {
	try {
		return openAt(`/proc/self/fd/${dirFd}`, O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600);
	} catch (error) {
		if (isErrno(error, "EOPNOTSUPP", "EISDIR", "ENOENT", "EINVAL")) return undefined;
		throw error;
	}
}

function* slices(ranges: Ranges): Generator<{ start: bigint; end: bigint }> {
	for (const { start, end } of ranges)
		for (let at = start; at < end; at += SLICE) yield { start: at, end: earlier(at + SLICE, end) };
}

/** The copy of a task's memory that is ahead of its snapshot. */
export class AheadCopy {
	private ranges: Ranges = [];
	private layout: PlacedRange[] = [];
	private covered: Ranges = [];
	private fresh = -1;
	private pending: { spans: readonly Span[]; copied: readonly PlacedRange[]; length: bigint } | undefined;

	private constructor(
		readonly pid: number,
		/** Start time: that process has it, a later one of the same number doesn't. */
		readonly startTime: bigint,
		private uffd: number,
		private readonly dirFd: number,
		private file: number,
		private readonly memory: { fd: number; [Symbol.dispose](): void },
	) {}

	/** Takes over a userfaultfd that notes writes; undefined where there's no place for a copy. */
	static open(pid: number, startTime: bigint, uffd: number, dirFd: number): AheadCopy | undefined {
		let file: number | undefined;
		try {
			file = createNameless(dirFd);
			if (file !== undefined) return new AheadCopy(pid, startTime, uffd, dirFd, file, openMemory(pid));
		} catch (error) {
			if (file !== undefined) closeFd(file);
			closeFd(uffd);
			throw error;
		}
		closeFd(uffd);
		return undefined;
	}

	/** From here on it's noted what is written to those of these mappings that can be watched. The task runs on. */
	arm(mappings: readonly ScannedVma[]): void {
		this.ranges = registerRanges(this.uffd, [...mappings]) ?? [];
		this.scan(true);
		const own = mappings.filter((vma) => this.ranges.some(({ start }) => start === vma.start));
		this.covered = own.length === 0 ? [] : intersect(scanMemory(this.pid, own).data, this.ranges);
		this.layout = placeRanges(this.covered);
	}

	/** Bytes that have been copied. */
	get bytes(): bigint {
		return lengthOf(this.covered);
	}

	/** What was written of the copied memory; `arm`: since then, from now on. */
	private scan(arm: boolean): Ranges {
		using pagemap = scopedFd(openAt(`/proc/${this.pid}/pagemap`, 0));
		const written: Ranges = [];
		const look = (start: bigint, end: bigint) => {
			const found = scanWritten(pagemap.fd, start, end, arm);
			const isKnown = this.covered.length > 0;
			// There's a mapping by now that isn't watched. Where it lies isn't told; what was noted around it is gone once it's armed.
			if (found === undefined && end - start > SMALLEST && !(arm && isKnown)) {
				const middle = start + (end - start) / 2n;
				look(start, middle - (middle % PAGE));
				look(middle - (middle % PAGE), end);
			} else written.push(...(found ?? [{ start, end }]));
		};
		for (const { start, end } of slices(this.ranges)) look(start, end);
		return intersect(written, this.covered);
	}

	/**
	 * Copies until little of what was copied has been written to since; false when that can't be reached, as the task writes too
	 * much.
	 */
	copy(): boolean {
		this.copyRuns(this.layout);
		for (let round = 0; ; round++) {
			const bytes = lengthOf(this.scan(false));
			if (bytes <= SETTLED_BYTES) return true;
			if (round === ROUNDS) return bytes <= LIMIT_BYTES;
			if (round === 0 && bytes > this.bytes / 2n) return false;
			// Noted anew before it's copied: what is written in between is copied once more.
			const again = this.scan(true);
			for (const part of findPlaces(again, this.layout)) this.copyRuns([part]);
		}
	}

	/** Runs that lie behind each other in the file. */
	private copyRuns(runs: readonly PlacedRange[]): void {
		const { pid, memory, file } = this;
		const pieces = BigUint64Array.from(runs.flatMap(({ start, end }) => [start, end - start]));
		const offset = runs[0]?.offset ?? 0n;
		pump({ pid, memFd: memory.fd, outFd: file, offset, pieces, threads: PUMP_THREADS, flags: PUMP_LIVE });
	}

	/** Takes back the marks that we have made on what is seen of a task's mappings. */
	hide(vmas: readonly { readonly vmFlags: ReadonlySet<string> }[]): void {
		if (this.ranges.length > 0) for (const { vmFlags } of vmas) (vmFlags as Set<string>).delete("uw");
	}

	/** What needn't be copied of a task that stands still. `mappings`: its own, now. */
	findCopied(mappings: Ranges): Ranges {
		const own = mappings.filter((one) => intersect([one], this.ranges).length > 0);
		return findUnchanged(this.pid, own, { uffd: this.uffd, coverage: this.covered, arm: false });
	}

	/** Gives the file its name in the images. */
	name(file: string): void {
		const from = toCString(`/proc/self/fd/${this.file}`);
		const to = toCString(file);
		// An older one of that name is replaced, as writers do.
		syscall(SYS_unlinkat, this.dirFd, to, 0);
		mustSyscall(`of ${file}`, SYS_linkat, AT_FDCWD, from, this.dirFd, to, AT_SYMLINK_FOLLOW);
	}

	/**
	 * Copies pieces from the task, which stands still, that aren't there yet. `copied`: what is, and where it belongs; `spans`: where
	 * the pieces belong, one after the other; `length`: of all.
	 */
	complete(
		{ pid, memFd }: TaskPages,
		copied: readonly PlacedRange[],
		pieces: BigUint64Array,
		spans: readonly Span[],
		length: bigint,
	): void {
		this.pending = { spans, copied, length };
		if (pieces.length === 0) return;
		this.fresh = createNameless(this.dirFd) ?? -1;
		if (this.fresh < 0) throw new KernelError("openat", EOPNOTSUPP, "of a file without a name in the images directory");
		pump({ pid, memFd, outFd: this.fresh, offset: 0n, pieces, threads: PUMP_THREADS });
	}

	/** Nothing is noted any more. The task runs on; pages are let go by the slice, as closing would keep it waiting for all. */
	private disarm(): void {
		if (this.uffd < 0) return;
		for (const { start, end } of slices(this.ranges)) {
			const arg = UffdioWriteprotect.encode({ range: { start, len: end - start }, mode: 0n });
			// What has been unmapped meanwhile is nobody's business any more.
			syscall(SYS_ioctl, this.uffd, UFFDIO_WRITEPROTECT, arg);
		}
		closeFd(this.uffd);
		this.uffd = -1;
	}

	/** The pages file becomes what it's to be; the task runs on. @throws KernelError */
	finish(): void {
		this.disarm();
		const { pending, file, fresh } = this;
		if (pending === undefined) return;
		this.pending = undefined;
		moveParts(file, findMoves(pending.copied, this.layout));
		let at = 0n;
		for (const { to, bytes } of pending.spans) {
			copyPart(fresh, file, { from: at, to, bytes });
			at += bytes;
		}
		setLength(file, Number(pending.length));
	}

	[Symbol.dispose](): void {
		if (this.file < 0) return;
		this.disarm();
		this.memory[Symbol.dispose]();
		closeFd(this.file);
		if (this.fresh >= 0) closeFd(this.fresh);
		this.file = -1;
	}
}
