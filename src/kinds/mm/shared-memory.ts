// SPDX-License-Identifier: GPL-2.0-only
// Shared anonymous memory and memfds: one inode of the kernel's own tmpfs, mapped or open in one or more tasks.
// Images: memfd.img (memfd_inode_entry), files.img (memfd_file_entry), pagemap-shmem-INO.img.
// Source: memfd_create(2), mmap(2) MAP_SHARED | MAP_ANONYMOUS, lseek(2) SEEK_DATA.

import type { Arg, OpRef, Program } from "../../agent/program.ts";
import { BugError, ImageError, KernelError } from "../../errors.ts";
import { fd_types, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { memfd_file_entrySchema, type memfd_inode_entry, memfd_inode_entrySchema } from "../../images/gen/file_pb.ts";
import { fown_entrySchema } from "../../images/gen/fown_pb.ts";
import { create, type ImageDir, KINDS } from "../../images/index.ts";
import {
	AT_FDCWD,
	F_ADD_SEALS,
	F_GET_SEALS,
	F_SEAL_EXEC,
	F_SEAL_FUTURE_WRITE,
	F_SEAL_GROW,
	F_SEAL_SEAL,
	F_SEAL_SHRINK,
	F_SEAL_WRITE,
	O_RDWR,
	SEEK_DATA,
	SEEK_HOLE,
} from "../../kernel/abi/fcntl.ts";
import * as mman from "../../kernel/abi/mman.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { readChain } from "../../pages/chain.ts";
import { appendRange, type Ranges } from "../../pages/ranges.ts";
import type { PageSink } from "../../pages/sink.ts";
import { statFd, toCString } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import { findInherited, keepInherited, keyOfMemfd } from "../file/inherit-fd.ts";
import { type KeptRef, keptFilesOf, ownFdPath, planShare } from "../file/kept-files.ts";
import type { DumpContext, RestoreContext, TaskPlan } from "../kind.ts";
import { PageFiles } from "./page-files.ts";
import { sysvIds } from "./sysv-dump.ts";

const PAGE = 4096n;
/** Names of inodes that mmap itself makes for MAP_SHARED | MAP_ANONYMOUS. */
const ANONYMOUS_NAMES = new Set(["/dev/zero", "/anon_hugepage"]);
const HUGE_SHIFT = 26n;
const decoder = new TextDecoder("latin1");

/** A segment that a dump has met. */
export interface DumpedSegment {
	readonly inode: memfd_inode_entry;
	/** A readable descriptor of ours. */
	readonly fd: number;
}

/** The segment's name as memfd.img has it: no `/memfd:`, no ` (deleted)`. */
function segmentName(link: Uint8Array): Uint8Array {
	const text = decoder.decode(link).replace(/ \(deleted\)$/, "");
	const name = text.startsWith("/memfd:") ? text.slice("/memfd:".length) : text;
	return Uint8Array.from(Buffer.from(name, "latin1"));
}

/**
 * The number under which the images have a segment's pages: that of its inode, unless it's taken. System V segments have
 * theirs from the same range.
 */
function takeContentId(ino: bigint, context: DumpContext): number {
	const taken = context.once("content-ids", () => new Set(sysvIds(context)));
	let id = Number(BigInt.asUintN(32, ino));
	while (taken.has(id)) id = (id - 1) >>> 0;
	taken.add(id);
	return id;
}

/** Registers a segment once, whoever has it. `hugeShift` is log2 of its huge page size, 0 for none. */
export function dumpSegment(fd: number, link: Uint8Array, hugeShift: number, context: DumpContext): DumpedSegment {
	const stat = statFd(fd);
	return context.once(`shmem:${stat.devMajor}:${stat.devMinor}:${stat.ino}`, () => {
		const seals = syscall(nr.SYS_fcntl, fd, F_GET_SEALS, 0);
		const inodes = context.once("memfd-inodes", () => ({ list: [] as DumpedSegment[] }));
		const inode = create(memfd_inode_entrySchema, {
			inodeId: BigInt(inodes.list.length + 1),
			name: segmentName(link),
			uid: stat.uid,
			gid: stat.gid,
			size: stat.size,
			shmid: takeContentId(stat.ino, context),
			seals: seals < 0 ? F_SEAL_SEAL : seals,
			mode: stat.mode,
			...(hugeShift === 0 ? {} : { hugetlbFlag: Number(BigInt(mman.MFD_HUGETLB) | (BigInt(hugeShift) << HUGE_SHIFT)) }),
		});
		const segment = { inode, fd };
		inodes.list.push(segment);
		return segment;
	});
}

/** Id of the MEMFD entry in files.img that all mappings of a segment refer to. */
export function addMappedSegment({ inode }: DumpedSegment, context: DumpContext): number {
	return context.once(`mapped-segment:${inode.inodeId}`, () => {
		const id = context.files.newId();
		context.files.add(
			create(file_entrySchema, {
				type: fd_types.MEMFD,
				id,
				memfd: create(memfd_file_entrySchema, {
					id,
					flags: 0,
					pos: 0n,
					fown: create(fown_entrySchema, { uid: 0, euid: 0, signum: 0, pidType: 0, pid: 0 }),
					inodeId: Number(inode.inodeId),
				}),
			}),
		);
		return id;
	});
}

/** Segments that a dump has met so far. */
export function listSegments(context: DumpContext): readonly DumpedSegment[] {
	return context.once("memfd-inodes", () => ({ list: [] as DumpedSegment[] })).list;
}

/** Writes memfd.img. @throws ImageError */
export function writeSegments(context: DumpContext, dir: ImageDir): void {
	const inodes = listSegments(context).map(({ inode }) => inode);
	dir.writeEntries(KINDS.MEMFD_INODE, undefined, inodes);
}

/** Parts of a file that hold data, page aligned. */
function findDataRanges(fd: number, size: bigint): Ranges {
	const ranges: Ranges = [];
	let at = 0n;
	while (at < size) {
		const data = syscall(nr.SYS_lseek, fd, at, SEEK_DATA);
		if (data === -6) break; // ENXIO: only holes follow
		if (data < 0) throw new KernelError("lseek", -data, "SEEK_DATA in shared memory");
		const hole = syscall(nr.SYS_lseek, fd, data, SEEK_HOLE);
		if (hole < 0) throw new KernelError("lseek", -hole, "SEEK_HOLE in shared memory");
		appendRange(ranges, BigInt(data) & ~(PAGE - 1n), (BigInt(hole) + PAGE - 1n) & ~(PAGE - 1n));
		at = BigInt(hole);
	}
	return ranges;
}

/** What has its content in the images: shared memory of either sort. */
export interface SegmentContent {
	readonly shmid: number;
	/** In bytes. */
	readonly size: bigint;
}

/** Writes the pages of a segment. Gives how many it has and how many hold data. */
export function dumpSegmentPages(
	segment: { readonly inode: SegmentContent; readonly fd: number },
	sink: PageSink,
): { sharedScanned: bigint; sharedWritten: bigint } {
	const { shmid, size } = segment.inode;
	if (size === 0n) return { sharedScanned: 0n, sharedWritten: 0n };
	const ranges = findDataRanges(segment.fd, size);
	sink.writeSegment({ shmid, fd: segment.fd, size, ranges });
	const sharedWritten = ranges.reduce((sum, { start, end }) => sum + (end - start) / PAGE, 0n);
	return { sharedScanned: (size + PAGE - 1n) / PAGE, sharedWritten };
}

const MAX_SEGMENT = 1n << 45n;
/** NAME_MAX less the prefix that the kernel adds. Source: memfd_create(2). */
const MAX_NAME = 249;
const KNOWN_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC;
const NO_ID = 0xffffffff;

function corrupt(file: string, problem: string): ImageError {
	return new ImageError("IMAGE_CORRUPT", `${file}: ${problem}`, {
		file,
		remedy: "dump again; the images were damaged",
	});
}

function checkInode(inode: memfd_inode_entry): void {
	const { inodeId, name, seals, size, uid, gid } = inode;
	const fail = (problem: string) => corrupt("memfd.img", `inode ${inodeId} ${problem}`);
	if (name.length > MAX_NAME || name.includes(0)) throw fail("has a name that no memfd can have");
	if ((seals & ~KNOWN_SEALS) !== 0) throw fail(`has seals ${seals}`);
	// Memory that has no descriptor can't be sealed further than it is from the start.
	const isAnonymous = ANONYMOUS_NAMES.has(decoder.decode(name));
	if (isAnonymous && seals !== F_SEAL_SEAL && seals !== 0) throw fail(`is anonymous, but has seals ${seals}`);
	if (size > MAX_SEGMENT) throw fail(`has ${size} bytes`);
	if (uid === NO_ID || gid === NO_ID) throw fail("has an owner that is no id");
}

/** The inode entry of a MEMFD entry of files.img. @throws ImageError */
export function findSegment(fileId: number, context: RestoreContext): memfd_inode_entry {
	const inodes = context.once("segments", () => readSegments(context.dir));
	const inode = inodes.get(context.files.get(fileId)?.memfd?.inodeId ?? -1);
	if (inode === undefined) throw corrupt("memfd.img", `memfd ${fileId} has no inode entry`);
	return inode;
}

function readSegments(dir: ImageDir): Map<number, memfd_inode_entry> {
	const inodes = new Map<number, memfd_inode_entry>();
	for (const inode of dir.readEntries(KINDS.MEMFD_INODE)) {
		checkInode(inode);
		const id = Number(inode.inodeId);
		if (inodes.has(id)) throw corrupt("memfd.img", `inode ${id} is there twice`);
		inodes.set(id, inode);
	}
	return inodes;
}

/** True when a descriptor of some task refers to the segment, not mappings alone. */
function isHeld(inode: memfd_inode_entry, context: RestoreContext): boolean {
	const held = context.once("held-segments", () => {
		const inodeIds = new Set<number>();
		for (const { fds } of context.tasks)
			for (const { id } of fds) {
				const memfd = context.files.get(id)?.memfd;
				if (memfd !== undefined) inodeIds.add(memfd.inodeId);
			}
		return inodeIds;
	});
	return held.has(Number(inode.inodeId));
}

/** A segment by the descriptor that its maker keeps. */
export interface KeptSegment extends KeptRef {
	/** Made when the memory of tasks was built, before any of them got its files. */
	readonly early: boolean;
}

/** Where the task that has made a segment has it: a descriptor that it keeps or, when nobody else needs one, a mapping. */
type MadeSegment = KeptSegment | { readonly plan: TaskPlan; readonly link: Uint8Array };

/**
 * Adds what gives a descriptor for mapping a segment; its first user makes it. `mapping`: the first mapping that will be made
 * from it. The caller closes the descriptor.
 *
 * @throws ImageError
 */
export function planMappedSegment(
	inode: memfd_inode_entry,
	mapping: { readonly start: bigint; readonly end: bigint },
	program: Program,
	plan: TaskPlan,
	context: RestoreContext,
): OpRef {
	if (inode.size === 0n) throw corrupt("memfd.img", `inode ${inode.inodeId} is mapped, but empty`);
	const given = planGivenSegment(inode, O_RDWR, program, plan, context);
	if (given !== undefined) return given;
	if (isHeld(inode, context)) return planShare(program, planHeldSegment(inode, program, plan, context), plan);
	const fresh: OpRef[] = [];
	const made = context.once<MadeSegment>(`segment:${inode.inodeId}`, () => {
		fresh.push(makeSegment(inode, program, plan, context));
		const link = toCString(`/proc/${plan.pid}/map_files/${mapping.start.toString(16)}-${mapping.end.toString(16)}`);
		if (isSealedLate(inode)) {
			const { release } = plan.programs;
			const fd = openSegment(release, plan, link);
			planSeals(inode, fd, release);
			release.syscall("close the shared memory", nr.SYS_close, [fd]);
		}
		return { plan, link };
	});
	const [fd] = fresh;
	if (fd !== undefined) return fd;
	if (!("link" in made)) throw new BugError(`segment ${inode.inodeId} is kept`);
	if (made.plan !== plan) plan.awaits.add(made.plan.pid);
	return openSegment(program, made.plan, made.link);
}

/** Adds what opens the memfd that the user gave in place of a segment (--inherit-fd), if any. @throws CriuError INHERIT_FD */
export function planGivenSegment(
	inode: memfd_inode_entry,
	flags: number,
	program: Program,
	plan: TaskPlan,
	context: RestoreContext,
): OpRef | undefined {
	if (context.options.inheritFds.length === 0) return undefined;
	const key = keyOfMemfd(inode.name);
	const given = findInherited(key, context.options);
	if (given === undefined) return undefined;
	const path = ownFdPath(keepInherited(given, plan));
	return program.syscall(`open fd ${given.fd} as ${key}`, nr.SYS_openat, [AT_FDCWD, path, flags, 0], {
		remedies: { EACCES: "give a descriptor of a memfd that may be written", ENXIO: "give a descriptor of a memfd" },
	});
}

function openSegment(program: Program, plan: TaskPlan, link: Uint8Array): OpRef {
	return program.syscall(`open shared memory of pid ${plan.pid}`, nr.SYS_openat, [AT_FDCWD, link, O_RDWR, 0]);
}

/**
 * The descriptor by which a segment is reached that some task has open: that of memfd_create(2), which doesn't count as
 * open for writing. It's kept until all tasks have their files; its first user makes it.
 *
 * @throws ImageError
 */
export function planHeldSegment(
	inode: memfd_inode_entry,
	program: Program,
	plan: TaskPlan,
	context: RestoreContext,
): KeptSegment {
	return context.once<KeptSegment>(`segment:${inode.inodeId}`, () => {
		const fd = makeSegment(inode, program, plan, context);
		const number = keptFilesOf(plan).keep(program, fd);
		if (isSealedLate(inode)) planSeals(inode, number, plan.programs.release);
		return { plan, number, early: program === plan.programs.memory };
	});
}

/**
 * Adds operations that make a segment with its content. Gives its descriptor (read and write). The temporary mapping lies at
 * plan.scratch.
 */
function makeSegment(inode: memfd_inode_entry, program: Program, plan: TaskPlan, context: RestoreContext): OpRef {
	const what = `shared memory ${inode.shmid}`;
	// Only mappings can belong to memory that mmap itself has made; a memfd may have any name.
	const isAnonymous = ANONYMOUS_NAMES.has(decoder.decode(inode.name)) && !isHeld(inode, context);
	const fd = isAnonymous ? makeAnonymous(inode, program, plan, what) : makeMemfd(inode, program, plan, what);
	if (inode.size > 0n) planContent(inode, program, plan, context, plan.scratch, what);
	program.syscall(`own ${what}`, nr.SYS_fchown, [fd, inode.uid, inode.gid]);
	if (inode.mode !== 0) program.syscall(`set the mode of ${what}`, nr.SYS_fchmod, [fd, inode.mode & 0o7777]);
	if (inode.size > 0n) program.syscall(`unmap ${what}`, nr.SYS_munmap, [plan.scratch, wholePages(inode.size)]);
	if (!isSealedLate(inode)) planSeals(inode, fd, program);
	return fd;
}

const MAKE_REMEDIES = { ENOMEM: "free memory or huge pages (vm.nr_hugepages)" };

function wholePages(size: bigint): bigint {
	return (size + PAGE - 1n) & ~(PAGE - 1n);
}

function makeAnonymous(inode: memfd_inode_entry, program: Program, plan: TaskPlan, what: string): OpRef {
	const at = plan.scratch;
	const length = wholePages(inode.size);
	const isHuge = (inode.hugetlbFlag & mman.MFD_HUGETLB) !== 0;
	const huge = BigInt(inode.hugetlbFlag) & ~BigInt(mman.MFD_HUGETLB);
	const flags = BigInt(mman.MAP_SHARED | mman.MAP_ANONYMOUS | mman.MAP_FIXED_NOREPLACE | mman.MAP_NORESERVE);
	const hugeFlags = isHuge ? BigInt(mman.MAP_HUGETLB) | huge : 0n;
	program.syscall(`create ${what}`, nr.SYS_mmap, [at, length, 3, flags | hugeFlags, -1, 0], {
		check: { equal: at },
		remedies: MAKE_REMEDIES,
	});
	const link = `/proc/self/map_files/${at.toString(16)}-${(at + length).toString(16)}`;
	return program.syscall(`open ${what}`, nr.SYS_openat, [AT_FDCWD, toCString(link), O_RDWR, 0]);
}

function makeMemfd(inode: memfd_inode_entry, program: Program, plan: TaskPlan, what: string): OpRef {
	const sealable = inode.seals === F_SEAL_SEAL ? 0 : mman.MFD_ALLOW_SEALING;
	const fd = program.syscall(`create ${what}`, nr.SYS_memfd_create, [
		toCString(inode.name),
		sealable | inode.hugetlbFlag,
	]);
	if (inode.size === 0n) return fd;
	program.syscall(`size ${what}`, nr.SYS_ftruncate, [fd, inode.size], { remedies: MAKE_REMEDIES });
	const flags = mman.MAP_SHARED | mman.MAP_FIXED_NOREPLACE;
	program.syscall(`map ${what}`, nr.SYS_mmap, [plan.scratch, wholePages(inode.size), 3, flags, fd, 0], {
		check: { equal: plan.scratch },
		remedies: MAKE_REMEDIES,
	});
	return fd;
}

/** Adds operations that read a segment's pages to where it's mapped, at `at`. @throws ImageError */
export function planContent(
	inode: SegmentContent,
	program: Program,
	plan: TaskPlan,
	context: RestoreContext,
	at: bigint,
	what: string,
): void {
	const file = `pagemap-shmem-${inode.shmid}.img`;
	const chain = readChain(context.dir, KINDS.SHMEM_PAGEMAP, inode.shmid);
	if (chain === undefined)
		throw new ImageError("IMAGE_MISSING", `${file}, the content of ${what}, is missing`, {
			file,
			remedy: "dump again; the images are incomplete",
		});
	const { runs } = chain;
	const last = runs.at(-1);
	if (last === undefined) return;
	const pageEnd = (inode.size + PAGE - 1n) & ~(PAGE - 1n);
	if (last.address + last.bytes > pageEnd) throw corrupt(file, `pages behind the end of ${what}`);
	const pages = PageFiles.pass(chain, plan, context);
	for (const run of runs)
		pages.planReads(program, run, run.offset, run.bytes, (done, length, from) =>
			program.fill(`read ${what}`, nr.SYS_pread64, [pages.get(run), at + run.address + done, length, from], {
				remedies: { ENOMEM: "free memory" },
			}),
		);
	pages.planClose(program);
}

/** A seal that leaves the writable mappings of before as they are has to wait for these. */
function isSealedLate({ seals }: memfd_inode_entry): boolean {
	return (seals & F_SEAL_FUTURE_WRITE) !== 0 && (seals & F_SEAL_WRITE) === 0;
}

/** Adds the seals that the segment had. */
function planSeals(inode: memfd_inode_entry, fd: Arg, program: Program): void {
	if (inode.seals === F_SEAL_SEAL || inode.seals === 0) return;
	program.syscall("seal shared memory", nr.SYS_fcntl, [fd, F_ADD_SEALS, inode.seals], {
		remedies: { EINVAL: "this kernel lacks one of the seals: restore on the kernel of the dump or a newer one" },
	});
}
