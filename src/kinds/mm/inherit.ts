// SPDX-License-Identifier: GPL-2.0-only
// Memory that a child has from its maker: mappings that both have alike stay as fork left them, so that pages with the same
// content remain one page of the machine. Only pages that differ are written. Source: fork(2), madvise(2) MADV_DONTFORK.

import type { Program } from "../../agent/program.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import * as mman from "../../kernel/abi/mman.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { earlier, type PageRun } from "../../pages/pagemap.ts";
import type { TaskImage, TaskPlan } from "../kind.ts";
import { EARLY_ADVICE, hasLastingAdvice, planAdvice, planOtherAdvice } from "./advice.ts";
import type { PageFiles } from "./page-files.ts";
import * as v from "./vma.ts";

/** Content to compare passes through a buffer of this size. */
const BUFFER = 1n << 20n;
const SPECIAL = v.VMA_AREA_VDSO | v.VMA_AREA_VVAR;
/** Advice that keeps a mapping, or its content, from children. */
const NOT_INHERITED = (1n << BigInt(mman.MADV_DONTFORK)) | (1n << BigInt(mman.MADV_WIPEONFORK));

export interface AddressRange {
	readonly start: bigint;
	readonly end: bigint;
}

/** What a child keeps of its maker's memory. */
export interface Inheritance {
	/** Mappings of the child, with those of the maker that they come from. */
	readonly kept: ReadonlyMap<vma_entry, vma_entry>;
	/** Rings of asynchronous I/O: the mapping stays the maker's. */
	readonly rings: ReadonlySet<vma_entry>;
	/** The vdso is where the child needs it. */
	readonly vdso: boolean;
	/** All that stays mapped, ascending. */
	readonly ranges: readonly AddressRange[];
	/** The executable is the same: its link stays, as it could not be set anew. */
	readonly exe: boolean;
}

const NOTHING: Inheritance = { kept: new Map(), rings: new Set(), vdso: false, ranges: [], exe: false };

function isAlike(a: vma_entry, b: vma_entry): boolean {
	return (
		a.end === b.end &&
		a.pgoff === b.pgoff &&
		a.shmid === b.shmid &&
		a.prot === b.prot &&
		a.flags === b.flags &&
		a.status === b.status
	);
}

/** True for a ring whose context another task has: what is mapped came by fork. */
export function isForkedRing(vma: vma_entry, { mm }: TaskImage): boolean {
	return (vma.status & v.VMA_AREA_AIORING) !== 0 && !mm.aios.some(({ id }) => id === vma.start);
}

/** A private mapping whose pages a fork shares. */
function isInheritable(vma: vma_entry): boolean {
	const isPlain = v.isPrivate(vma) && (vma.status & SPECIAL) === 0 && (vma.status & v.VMA_AREA_REGULAR) !== 0;
	return isPlain && (vma.flags & mman.MAP_HUGETLB) === 0 && (vma.madv & NOT_INHERITED) === 0n;
}

/**
 * Compares a child's mappings with its maker's; nothing of a program that has executed another one is kept. `keepsVdso`: the
 * maker's vdso is where its image says. `apart`: what isn't kept of either.
 */
export function findInherited(
	image: TaskImage,
	maker: TaskImage | undefined,
	keepsVdso: boolean,
	apart: readonly ReadonlySet<vma_entry>[] = [],
): Inheritance {
	if (maker === undefined || maker.mm.exeFileId !== image.mm.exeFileId) return NOTHING;
	const isApart = (vma: vma_entry) => apart.some((set) => set.has(vma));
	const byStart = new Map(maker.mm.vmas.map((vma) => [vma.start, vma]));
	const kept = new Map<vma_entry, vma_entry>();
	const rings = new Set<vma_entry>();
	const ranges: AddressRange[] = [];
	let special = 0;
	let specialAlike = 0;
	for (const vma of image.mm.vmas) {
		const other = byStart.get(vma.start);
		const alike = other !== undefined && isAlike(vma, other);
		if ((vma.status & SPECIAL) !== 0) {
			special++;
			if (alike) specialAlike++;
		} else if (alike && isForkedRing(vma, image) && (other.madv & NOT_INHERITED) === 0n) rings.add(vma);
		else if (alike && isInheritable(vma) && isInheritable(other) && !isApart(vma) && !isApart(other)) {
			if (!hasLastingAdvice(vma, other)) kept.set(vma, other);
		}
	}
	const vdso = keepsVdso && special > 0 && special === specialAlike;
	for (const vma of image.mm.vmas)
		if (kept.has(vma) || rings.has(vma) || (vdso && (vma.status & SPECIAL) !== 0))
			ranges.push({ start: vma.start, end: vma.end });
	return { kept, rings, vdso, ranges, exe: true };
}

/** A mapping that stays, see planKept. */
export interface KeptVma {
	readonly vma: vma_entry;
	/** Opened for changes, though it isn't so in the end. */
	readonly lifted: boolean;
	/** What is still to be given to it. */
	readonly advice: bigint;
}

/** Adds what makes a mapping that stays as the maker has it the child's, and opens it for changes where there are any. */
export function planKept(
	program: Program,
	vma: vma_entry,
	origin: vma_entry,
	makerGuards: readonly vma_entry[],
	runs: readonly PageRun[],
	makerRuns: readonly PageRun[],
): KeptVma {
	if (makerGuards.some(({ start, end }) => start < vma.end && end > vma.start))
		program.syscall("take its maker's guards away", nr.SYS_madvise, [
			...[vma.start, vma.end - vma.start, mman.MADV_GUARD_REMOVE],
		]);
	const advice = planOtherAdvice(program, vma, origin);
	planAdvice(program, vma, advice & EARLY_ADVICE);
	const writable = mman.PROT_READ | mman.PROT_WRITE;
	const lifted = (vma.prot & writable) !== writable && needsChange(vma, runs, makerRuns);
	if (lifted)
		program.syscall(`open 0x${vma.start.toString(16)} for changes`, nr.SYS_mprotect, [
			vma.start,
			vma.end - vma.start,
			vma.prot | writable,
		]);
	return { vma, lifted, advice };
}

/** Adds what unmaps all between `from` and `to` but the given ranges, which are sorted. */
export function planClear(program: Program, ranges: readonly AddressRange[], from: bigint, to: bigint): void {
	const within = ranges.filter(({ start, end }) => end > from && start < to);
	let at = from;
	for (const { start, end } of [...within, { start: to, end: to }]) {
		if (start > at) program.syscall("clear what isn't kept", nr.SYS_munmap, [at, start - at]);
		if (end > at) at = end;
	}
}

/** The parts of sorted runs that lie within a mapping. */
export function* runsWithin(runs: readonly PageRun[], { start, end }: AddressRange): Generator<PageRun> {
	let low = 0;
	let high = runs.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		const run = runs[middle] as PageRun;
		if (run.address + run.bytes <= start) low = middle + 1;
		else high = middle;
	}
	for (let i = low; i < runs.length; i++) {
		const run = runs[i] as PageRun;
		if (run.address >= end) return;
		const address = run.address < start ? start : run.address;
		const last = earlier(run.address + run.bytes, end);
		yield { address, bytes: last - address, offset: run.offset + (address - run.address), level: run.level };
	}
}

/** Splits the runs of one list by whether another has the same pages. */
export function* splitRuns(
	own: Iterable<PageRun>,
	other: readonly PageRun[],
): Generator<PageRun & { readonly inBoth: boolean }> {
	for (const run of own) {
		let at = run.address;
		const end = run.address + run.bytes;
		const part = (to: bigint, inBoth: boolean) => ({
			address: at,
			bytes: to - at,
			offset: run.offset + (at - run.address),
			level: run.level,
			inBoth,
		});
		for (const common of runsWithin(other, { start: run.address, end })) {
			if (common.address > at) yield part(common.address, false);
			at = common.address;
			yield part(common.address + common.bytes, true);
			at = common.address + common.bytes;
		}
		if (at < end) yield part(end, false);
	}
}

/** True when a kept mapping's content has to be changed at all. */
export function needsChange(vma: vma_entry, own: readonly PageRun[], maker: readonly PageRun[]): boolean {
	for (const _ of runsWithin(own, vma)) return true;
	for (const _ of runsWithin(maker, vma)) return true;
	return false;
}

/**
 * Adds what makes the content of kept mappings that of the child: pages that only it has are read, pages that both have are
 * compared and written where they differ, pages that only the maker has are dropped. The mappings are writable by now.
 */
export function planInheritedContent(
	program: Program,
	kept: Iterable<vma_entry>,
	own: readonly PageRun[],
	maker: readonly PageRun[],
	pages: PageFiles,
	plan: TaskPlan,
): void {
	const remedies = { ENOMEM: "free memory" };
	let hasBuffer = false;
	const buffer = () => {
		if (!hasBuffer)
			program.syscall("map a buffer", nr.SYS_mmap, [plan.scratch, BUFFER, 3, 0x100022, -1, 0], {
				check: { equal: plan.scratch },
				remedies,
			});
		hasBuffer = true;
		return plan.scratch;
	};
	for (const vma of kept) {
		for (const run of splitRuns(runsWithin(own, vma), maker)) {
			const what = `0x${run.address.toString(16)}`;
			if (!run.inBoth) {
				pages.planReads(program, run, run.offset, run.bytes, (done, length, from) =>
					program.load(`read pages at ${what}`, [pages.get(run), run.address + done, length, from], {
						remedies,
					}),
				);
				continue;
			}
			for (let done = 0n; done < run.bytes; done += BUFFER) {
				const length = earlier(BUFFER, run.bytes - done);
				program.fill(`read pages to compare with ${what}`, nr.SYS_pread64, [
					pages.get(run),
					buffer(),
					length,
					run.offset + done,
				]);
				program.merge(`write pages that differ at ${what}`, run.address + done, plan.scratch, Number(length));
			}
		}
		for (const run of splitRuns(runsWithin(maker, vma), own))
			if (!run.inBoth)
				program.syscall("drop pages of the maker", nr.SYS_madvise, [run.address, run.bytes, mman.MADV_DONTNEED]);
	}
	if (hasBuffer) program.syscall("unmap the buffer", nr.SYS_munmap, [plan.scratch, BUFFER]);
}
