// SPDX-License-Identifier: GPL-2.0-only
// Address space of a task, dump half: bounds, auxv, exe, VMAs with what backs them, and the pages.
// Images: mm-PID.img, pagemap-PID.img, pages-N.img. Source: proc_pid_stat(5), proc_pid_auxv(5), proc_pid_map_files(5).

import type { Program } from "../../agent/program.ts";
import { getReg, REG } from "../../agent/registers.x86_64.ts";
import { type CriuError, isErrno, UnsupportedError } from "../../errors.ts";
import type { mm_entry, vma_entry } from "../../images/gen/mm_pb.ts";
import { O_PATH, O_RDONLY, O_RDWR } from "../../kernel/abi/fcntl.ts";
import { PROT_READ, PROT_WRITE } from "../../kernel/abi/mman.ts";
import { SYS_brk } from "../../kernel/abi/syscalls.x86_64.ts";
import { readAuxv } from "../../kernel/procfs/auxv.ts";
import { mapFilePath, readLink, readLinkAccess } from "../../kernel/procfs/links.ts";
import type { SmapsFacts } from "../../kernel/procfs/smaps.ts";
import { type PrivateRange, planPagemap } from "../../pages/pagemap.ts";
import { intersect, type Ranges, subtract, unite } from "../../pages/ranges.ts";
import { scanMemory } from "../../pages/scan.ts";
import { openMemory, type PageSink } from "../../pages/sink.ts";
import { findClean } from "../../pages/soft-dirty.ts";
import { findUnchanged, type TaskTracking } from "../../pages/tracking.ts";
import { closeFd, openAt, scopedFd } from "../../sys/file.ts";
import type { Completion, DumpContext, DumpedTask, TaskDraft } from "../kind.ts";
import { hasSharedMemory } from "../task/sharing.ts";
import { dumpRings, findRingBlockers } from "./aio.ts";
import { dumpRing } from "./packet-ring.ts";
import { addMappedSegment, dumpSegment } from "./shared-memory.ts";
import { dumpSysvSegment } from "./sysv-dump.ts";
import { findUprobesInUse, noteUprobes } from "./uprobes.ts";
import {
	type Backing,
	classifyVma,
	encodeGuards,
	encodeVma,
	findVmaBlockers,
	isRing,
	listPrivateRanges,
	VMA_AREA_VDSO,
	type VmaClass,
	vmaName,
} from "./vma.ts";

/** CRIU reads that many values of an auxiliary vector; the rest is ours. */
const AUXV_LIMIT = 44;

/** What stops a dump of this task's memory. */
export function findMemoryBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	const { allowUprobes } = context.options;
	const found = [...findVmaBlockers(task.pid, task.vmas, allowUprobes), ...findRingBlockers(task)];
	if (allowUprobes) found.push(...findUprobesInUse(task));
	for (const { start, end } of task.mapped.changed)
		found.push(
			new UnsupportedError(
				"MAPPED_IMAGES_CHANGED",
				`pid ${task.pid}: the images that 0x${start.toString(16)}-0x${end.toString(16)} is mapped from were changed since`,
				{ remedy: "don't trust its memory: end it, and restore it from an intact copy of the images" },
			),
		);
	if (task.vmas.length === 0)
		found.push(
			new UnsupportedError("NO_MEMORY_MAP", `pid ${task.pid} has no memory of its own`, {
				remedy: "kernel threads and tasks that are just ending can't be dumped",
			}),
		);
	return found;
}

/** Size of a huge page as a shift; 0 for ordinary pages. */
function hugeShift(vma: SmapsFacts): number {
	return vma.vmFlags.has("ht") ? Math.log2(vma.kernelPageSizeKb * 1024) : 0;
}

/**
 * How the mapped file was opened. A shared mapping may become writable only if that was for writing; of a private one only
 * the link in map_files tells, and there nothing depends on it. Source: mm/mmap.c:do_mmap.
 */
function accessOf(vma: SmapsFacts, path: string): number {
	if (vma.vmFlags.size === 0) return readLinkAccess(path);
	return vma.shared && vma.vmFlags.has("mw") ? O_RDWR : O_RDONLY;
}

/** Opens what a VMA maps, once for each file and run of VMAs, and registers it. */
class BackingFinder {
	private readonly opened = new Map<string, bigint>();

	constructor(
		private readonly task: DumpedTask,
		private readonly context: DumpContext,
	) {}

	find(vma: SmapsFacts, what: VmaClass): Backing {
		const path = mapFilePath(this.task.pid, vma.start, vma.end);
		if (what === "sysv")
			return { shmid: BigInt(dumpSysvSegment(vma, path, this.context)), fdflags: accessOf(vma, path) };
		if (what === "packet-ring") return { shmid: BigInt(dumpRing(vma, this.task, this.context)), fdflags: O_RDWR };
		const isSegment = what === "shared-memory";
		const key = `${vma.devMajor}:${vma.devMinor}:${vma.ino}:${isSegment}`;
		let shmid = this.opened.get(key);
		if (shmid === undefined) {
			// Forked children map the same files under the same names.
			const shared = `backing:${key}:${vmaName(vma)}`;
			shmid = this.context.once(shared, () => BigInt(this.register(vma, path, isSegment)));
			this.opened.set(key, shmid);
		}
		return { shmid, fdflags: accessOf(vma, path) };
	}

	private register(vma: SmapsFacts, path: string, isSegment: boolean): number {
		const link = readLink(path);
		if (!isSegment) {
			using file = scopedFd(openAt(path, O_PATH));
			return this.context.files.addMapped(this.task, link, file.fd);
		}
		// Stays open: its pages are read after the VMAs are known.
		const fd = openAt(path, 0);
		const segment = dumpSegment(fd, link, hugeShift(vma), this.context);
		if (segment.fd !== fd) closeFd(fd);
		return addMappedSegment(segment, this.context);
	}
}

/** Those that a mapping of a file or a kernel object backs. */
const BACKED: ReadonlySet<VmaClass> = new Set(["file", "shared-memory", "sysv", "packet-ring"]);
const AIO_BACKING: Backing = { shmid: 0n, fdflags: O_RDWR };

function encodeVmas(task: DumpedTask, context: DumpContext): vma_entry[] {
	const finder = new BackingFinder(task, context);
	const entries: vma_entry[] = [];
	for (const vma of task.vmas) {
		const what = classifyVma(vma);
		if (what === "uprobes") {
			noteUprobes(context);
			continue;
		}
		const backing = what === "aio" ? AIO_BACKING : BACKED.has(what) ? finder.find(vma, what) : undefined;
		const entry = encodeVma(vma, what, backing);
		const last = entries[entries.length - 1];
		// CRIU stores vvar and what follows it as one VMA.
		if (what === "vvar" && last !== undefined && last.end === entry.start && last.status === entry.status)
			last.end = entry.end;
		else entries.push(entry);
	}
	return entries;
}

/** Registers the executable; its id. */
function dumpExe(task: DumpedTask, context: DumpContext): number {
	const path = `/proc/${task.pid}/exe`;
	try {
		using file = scopedFd(openAt(path, O_PATH));
		return context.files.addMapped(task, readLink(path), file.fd);
	} catch (error) {
		if (!isErrno(error, "ENOENT")) throw error;
		throw new UnsupportedError("NO_EXE", `pid ${task.pid} has no executable any more`, {
			cause: error,
			remedy: "start it again",
		});
	}
}

/** Fills mm-PID.img; only the break has to be asked for. Of memory that tasks share the first one's image tells. */
export function dumpMemoryMap(
	task: DumpedTask,
	draft: TaskDraft,
	ask: Program,
	context: DumpContext,
): Completion | undefined {
	if (hasSharedMemory(task, context)) return undefined;
	const { stat } = task;
	const { mm } = draft;
	mm.exeFileId = dumpExe(task, context);
	mm.mmStartCode = stat.startCode;
	mm.mmEndCode = stat.endCode;
	mm.mmStartData = stat.startData;
	mm.mmEndData = stat.endData;
	mm.mmStartStack = stat.startStack;
	mm.mmStartBrk = stat.startBrk;
	mm.mmArgStart = stat.argStart;
	mm.mmArgEnd = stat.argEnd;
	mm.mmEnvStart = stat.envStart;
	mm.mmEnvEnd = stat.envEnd;
	const auxv = readAuxv(task.pid);
	mm.mmSavedAuxv = auxv.slice(0, AUXV_LIMIT);
	const tail = auxv.slice(AUXV_LIMIT);
	// The end alone, AT_NULL, is what the kernel puts there by itself: no need for a field that crit doesn't know.
	if (tail.some((word) => word !== 0n)) mm.auxvTail = tail;
	mm.vmas = encodeVmas(task, context);
	const brk = ask.syscall("ask for the break", SYS_brk, [0]);
	const rings = task.vmas.filter(isRing);
	const ringsAsked = rings.length === 0 ? undefined : dumpRings(task, rings, mm.aios, ask, context);
	return (answers) => {
		ringsAsked?.(answers);
		mm.mmBrk = answers.result(brk);
	};
}

/** What the copying of pages did, in pages. */
export interface PagesWritten {
	scanned: bigint;
	written: bigint;
	/** Left to the parent images. */
	skipped: bigint;
	lazy: bigint;
	/** Of shared memory, which counts apart. */
	sharedScanned: bigint;
	sharedWritten: bigint;
}

/** Private mappings whose changes can be noted. Huge pages are copied whole: they would be noted as such only. */
function isTrackable(vma: SmapsFacts): boolean {
	const what = classifyVma(vma);
	const isMemory = what === "anonymous" || what === "file" || what === "shared-memory";
	return isMemory && !vma.shared && !vma.vmFlags.has("ht") && !vma.vmFlags.has("dp");
}

/** Where writes to a task's memory are noted. What is mapped from images is copied whole: a page may be the file's once more. */
export function listTrackable(task: DumpedTask): Ranges {
	return withoutMapped(task.vmas.filter(isTrackable), task);
}

/** Ranges without what is mapped from images. */
export function withoutMapped(ranges: Ranges, { mapped }: DumpedTask): Ranges {
	return mapped.ranges.length === 0 ? ranges : subtract(ranges, mapped.ranges);
}

function findInherited(task: DumpedTask, data: Ranges, tracking: TaskTracking): Ranges {
	const mappings = listTrackable(task);
	if ("uffd" in tracking) return findUnchanged(task.pid, mappings, tracking);
	const readOnly = task.vmas.filter((vma) => isTrackable(vma) && (vma.prot & (PROT_READ | PROT_WRITE)) === PROT_READ);
	return findClean(task.pid, mappings, data, intersect(data, readOnly), tracking);
}

/** What of a task's memory goes into the images. */
export function planPages(
	task: DumpedTask,
	stretches: readonly PrivateRange[],
	data: Ranges,
	tracking?: TaskTracking,
	leavesLazy = false,
) {
	const unchanged = tracking === undefined ? [] : findInherited(task, data, tracking);
	const shared = task.vmas.filter((vma) => vma.sharedCleanKb + vma.sharedDirtyKb > 0);
	const plan = planPagemap(data, stretches, shared, unchanged, leavesLazy);
	let bytes = 0n;
	for (const vma of task.vmas) bytes += vma.end - vma.start;
	const scanned = bytes / 4096n;
	let lazy = 0n;
	for (const { start, end } of plan.later) lazy += (end - start) / 4096n;
	const pages: PagesWritten = {
		scanned,
		written: plan.bytes / 4096n,
		skipped: plan.inParent / 4096n,
		lazy,
		sharedScanned: 0n,
		sharedWritten: 0n,
	};
	return { plan, pages };
}

/**
 * Copies the private pages of a stopped task into its images, and completes its VMAs with guard regions. `later`: is told what to
 * leave to be asked for; without it nothing is left.
 */
export function dumpPages(
	task: DumpedTask,
	draft: TaskDraft,
	sink: PageSink,
	tracking?: TaskTracking,
	later?: (ranges: Ranges) => void,
): PagesWritten {
	const { mm } = draft;
	const scan = scanMemory(task.pid, task.vmas);
	mm.vmas.push(...encodeGuards(scan.guards));
	const stretches = listPrivateRanges(mm.vmas, [getReg(task.thread.regs, REG.sp)]);
	const { ranges: mapped } = task.mapped;
	// To the kernel pages of a file are no data, and those never touched aren't there.
	const data = mapped.length === 0 ? scan.data : unite(scan.data, subtract(mapped, scan.guards));
	const { plan, pages } = planPages(task, stretches, data, tracking, later !== undefined);
	later?.(plan.later);
	using memory = openMemory(task.pid);
	const { entries, pieces } = plan;
	const early = sink.wantsEarly === true ? { early: listEarly(mm) } : {};
	sink.writeTask({ pid: task.pid, vpid: task.vpid, memFd: memory.fd, entries, pieces, live: false, ...early });
	return pages;
}

/** What a restore looks at while it plans: the vdso, and heads of rings. */
function listEarly({ vmas, aios }: mm_entry): Ranges {
	const vdso = vmas.filter(({ status }) => (status & VMA_AREA_VDSO) !== 0).map(({ start, end }) => ({ start, end }));
	return vdso.concat(aios.map(({ id }) => ({ start: id, end: id + 4096n })));
}

/** The stretches of a task's memory that a pre-dump copies, from what can be seen of its mappings. */
export function listPreDumped(task: DumpedTask): PrivateRange[] {
	const entries = task.vmas.filter(isTrackable).map((vma) => encodeVma(vma, classifyVma(vma) as VmaClass, undefined));
	return listPrivateRanges(entries, [getReg(task.thread.regs, REG.sp)]);
}
