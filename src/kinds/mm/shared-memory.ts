// SPDX-License-Identifier: GPL-2.0-only
// Shared anonymous memory and mapped memfds: one inode of the kernel's own tmpfs, mapped in pieces by one or more tasks.
// Images: memfd.img (memfd_inode_entry), files.img (memfd_file_entry), pagemap-shmem-INO.img.
// Source: memfd_create(2), mmap(2) MAP_SHARED | MAP_ANONYMOUS, lseek(2) SEEK_DATA.

import type { OpRef, Program } from "../../agent/program.ts";
import { ImageError, KernelError } from "../../errors.ts";
import { fd_types, file_entrySchema } from "../../images/gen/fdinfo_pb.ts";
import { memfd_file_entrySchema, type memfd_inode_entry, memfd_inode_entrySchema } from "../../images/gen/file_pb.ts";
import { fown_entrySchema } from "../../images/gen/fown_pb.ts";
import { pagemap_entrySchema, pagemap_headSchema } from "../../images/gen/mm_pb.ts";
import { create, type ImageDir, KINDS } from "../../images/index.ts";
import {
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
import { collectRuns, nrPagesFields, PE_PRESENT, totalBytes } from "../../pages/pagemap.ts";
import { appendRange, type Ranges } from "../../pages/scan.ts";
import { readAt, statFd, toCString, writeAll } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import type { DumpContext, RestoreContext, TaskPlan } from "../kind.ts";

const PAGE = 4096n;
const EINVAL = 22;
/** Names of inodes that mmap itself makes for MAP_SHARED | MAP_ANONYMOUS. */
const ANONYMOUS_NAMES = new Set(["/dev/zero", "/anon_hugepage"]);
const HUGE_SHIFT = 26n;
const decoder = new TextDecoder("latin1");

/** A segment that a dump has met. */
export interface DumpedSegment {
	inode: memfd_inode_entry;
	/** Of the MEMFD entry in files.img that mappings refer to. */
	fileId: number;
	/** A readable descriptor of ours. */
	fd: number;
}

/** The segment's name as memfd.img has it: no `/memfd:`, no ` (deleted)`. */
function segmentName(link: Uint8Array): Uint8Array {
	const text = decoder.decode(link).replace(/ \(deleted\)$/, "");
	const name = text.startsWith("/memfd:") ? text.slice("/memfd:".length) : text;
	return Uint8Array.from(Buffer.from(name, "latin1"));
}

/** Registers a segment once, however many mappings it has. `hugeShift` is log2 of its huge page size, 0 for none. */
export function dumpSegment(fd: number, link: Uint8Array, hugeShift: number, context: DumpContext): DumpedSegment {
	const stat = statFd(fd);
	return context.once(`shmem:${stat.devMajor}:${stat.devMinor}:${stat.ino}`, () => {
		const seals = syscall(nr.SYS_fcntl, fd, F_GET_SEALS, 0);
		const fileId = context.files.newId();
		const inodes = context.once("memfd-inodes", () => ({ list: [] as DumpedSegment[] }));
		const inode = create(memfd_inode_entrySchema, {
			inodeId: BigInt(inodes.list.length + 1),
			name: segmentName(link),
			uid: stat.uid,
			gid: stat.gid,
			size: stat.size,
			shmid: Number(BigInt.asUintN(32, stat.ino)),
			seals: seals < 0 ? F_SEAL_SEAL : seals,
			mode: stat.mode,
			...(hugeShift === 0 ? {} : { hugetlbFlag: Number(BigInt(mman.MFD_HUGETLB) | (BigInt(hugeShift) << HUGE_SHIFT)) }),
		});
		context.files.add(
			create(file_entrySchema, {
				type: fd_types.MEMFD,
				id: fileId,
				memfd: create(memfd_file_entrySchema, {
					id: fileId,
					flags: 0,
					pos: 0n,
					fown: create(fown_entrySchema, { uid: 0, euid: 0, signum: 0, pidType: 0, pid: 0 }),
					inodeId: Number(inode.inodeId),
				}),
			}),
		);
		const segment = { inode, fileId, fd };
		inodes.list.push(segment);
		return segment;
	});
}

/** Segments that a dump has met so far. */
export function listSegments(context: DumpContext): readonly DumpedSegment[] {
	return context.once("memfd-inodes", () => ({ list: [] as DumpedSegment[] })).list;
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

const COPY_PIECE = 1n << 20n;

/** For files that can't be spliced, as those of huge pages. */
function copyByBuffer(from: number, start: bigint, to: number, length: bigint): void {
	for (let done = 0n; done < length; done += COPY_PIECE) {
		const size = length - done < COPY_PIECE ? length - done : COPY_PIECE;
		const bytes = readAt(from, Number(size), start + done);
		if (BigInt(bytes.length) !== size) throw new KernelError("pread64", 5, "of shared memory: it shrank meanwhile");
		writeAll(to, bytes);
	}
}

/** Appends a part of a file to a pages image, inside the kernel where that's possible. */
function copyFileRange(from: number, start: bigint, to: number, length: bigint): void {
	const offset = new BigUint64Array([start]);
	let left = length;
	while (left > 0n) {
		const done = syscall(nr.SYS_sendfile, to, from, offset, left);
		if (done === -EINVAL) {
			copyByBuffer(from, offset[0] ?? start, to, left);
			return;
		}
		if (done < 0) throw new KernelError("sendfile", -done, "of shared memory to the pages image");
		if (done === 0) throw new KernelError("sendfile", 5, "of shared memory: it shrank meanwhile");
		left -= BigInt(done);
	}
}

/** Writes pagemap-shmem-INO.img and its pages. Gives the number of pages. */
export function dumpSegmentPages(segment: DumpedSegment, dir: ImageDir, pagesId: number): bigint {
	if (segment.inode.size === 0n) return 0n;
	const size = (segment.inode.size + PAGE - 1n) & ~(PAGE - 1n);
	const ranges = findDataRanges(segment.fd, size);
	using pagemap = dir.writer(KINDS.SHMEM_PAGEMAP, segment.inode.shmid);
	pagemap.writeHead(create(pagemap_headSchema, { pagesId }));
	using pages = dir.writer(KINDS.PAGES, pagesId);
	let count = 0n;
	const { fd } = pages.openStream();
	for (const { start, end } of ranges) {
		copyFileRange(segment.fd, start, fd, end - start);
		count += (end - start) / PAGE;
		pagemap.write(
			create(pagemap_entrySchema, {
				vaddr: start,
				...nrPagesFields((end - start) / PAGE),
				flags: PE_PRESENT,
			}),
		);
	}
	pages.close();
	pagemap.close();
	return count;
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
	if (size > MAX_SEGMENT || size === 0n) throw fail(`has ${size} bytes`);
	if (uid === NO_ID || gid === NO_ID) throw fail("has an owner that is no id");
}

/** The inode entries of memfd.img by inode id. @throws ImageError */
export function readSegments(dir: ImageDir): Map<number, memfd_inode_entry> {
	const inodes = new Map<number, memfd_inode_entry>();
	for (const inode of dir.readEntries(KINDS.MEMFD_INODE)) {
		checkInode(inode);
		const id = Number(inode.inodeId);
		if (inodes.has(id)) throw corrupt("memfd.img", `inode ${id} is there twice`);
		inodes.set(id, inode);
	}
	return inodes;
}

/**
 * Adds operations that make a segment with its content. Gives its descriptor (read and write); the caller closes it
 * after the last mapping. The temporary mapping lies at plan.scratch.
 */
export function planSegment(
	inode: memfd_inode_entry,
	program: Program,
	plan: TaskPlan,
	context: RestoreContext,
): OpRef {
	const name = decoder.decode(inode.name);
	const huge = BigInt(inode.hugetlbFlag) & ~BigInt(mman.MFD_HUGETLB);
	const isHuge = (inode.hugetlbFlag & mman.MFD_HUGETLB) !== 0;
	const length = (inode.size + PAGE - 1n) & ~(PAGE - 1n);
	const what = `shared memory ${inode.shmid}`;
	const remedies = { ENOMEM: "free memory or huge pages (vm.nr_hugepages)" };
	const at = plan.scratch;
	let fd: OpRef;
	if (ANONYMOUS_NAMES.has(name)) {
		const flags = BigInt(mman.MAP_SHARED | mman.MAP_ANONYMOUS | mman.MAP_FIXED_NOREPLACE | mman.MAP_NORESERVE);
		const hugeFlags = isHuge ? BigInt(mman.MAP_HUGETLB) | huge : 0n;
		program.syscall(`create ${what}`, nr.SYS_mmap, [at, length, 3, flags | hugeFlags, -1, 0], {
			check: { equal: at },
			remedies,
		});
		const link = `/proc/self/map_files/${at.toString(16)}-${(at + length).toString(16)}`;
		fd = program.syscall(`open ${what}`, nr.SYS_openat, [-100, toCString(link), O_RDWR, 0]);
	} else {
		const sealable = (inode.seals & F_SEAL_SEAL) !== 0 && inode.seals === F_SEAL_SEAL ? 0 : mman.MFD_ALLOW_SEALING;
		const flags = sealable | (isHuge ? Number(BigInt(inode.hugetlbFlag)) : 0);
		fd = program.syscall(`create ${what}`, nr.SYS_memfd_create, [toCString(inode.name), flags]);
		program.syscall(`size ${what}`, nr.SYS_ftruncate, [fd, inode.size], { remedies });
		program.syscall(`map ${what}`, nr.SYS_mmap, [at, length, 3, mman.MAP_SHARED | mman.MAP_FIXED_NOREPLACE, fd, 0], {
			check: { equal: at },
			remedies,
		});
	}
	planContent(inode, program, plan, context, at, what);
	program.syscall(`own ${what}`, nr.SYS_fchown, [fd, inode.uid, inode.gid]);
	if (inode.mode !== 0) program.syscall(`set the mode of ${what}`, nr.SYS_fchmod, [fd, inode.mode & 0o7777]);
	program.syscall(`unmap ${what}`, nr.SYS_munmap, [at, length]);
	return fd;
}

function planContent(
	inode: memfd_inode_entry,
	program: Program,
	plan: TaskPlan,
	context: RestoreContext,
	at: bigint,
	what: string,
): void {
	const { dir } = context;
	const file = `pagemap-shmem-${inode.shmid}.img`;
	const pagemap = dir.findHeaded(KINDS.SHMEM_PAGEMAP, inode.shmid);
	if (pagemap === undefined)
		throw new ImageError("IMAGE_MISSING", `${file}, the content of ${what}, is missing`, {
			file,
			remedy: "dump again; the images are incomplete",
		});
	const runs = collectRuns(file, pagemap);
	const last = runs.at(-1);
	if (last === undefined) return;
	const pageEnd = (inode.size + PAGE - 1n) & ~(PAGE - 1n);
	if (last.address + last.bytes > pageEnd) throw corrupt(file, `pages behind the end of ${what}`);
	const pagesName = `pages-${pagemap.head.pagesId}.img`;
	const pages = dir.openFile(pagesName);
	const remote = pages === undefined ? undefined : plan.numbers.pass(pages, pagesName);
	if (remote === undefined || statFd(remote).size < totalBytes(runs))
		throw new ImageError("IMAGE_TRUNCATED", `image ${pagesName} is missing or too short for ${file}`, {
			file: pagesName,
			remedy: "dump again; the images are incomplete",
		});
	for (const run of runs)
		program.fill(`read ${what}`, nr.SYS_pread64, [remote, at + run.address, run.bytes, run.offset], {
			remedies: { ENOMEM: "free memory" },
		});
	program.syscall("close the pages image", nr.SYS_close, [remote]);
}

/** Seals that the segment had; added after all of its mappings exist. */
export function planSeals(inode: memfd_inode_entry, fd: OpRef, program: Program): void {
	if (inode.seals === F_SEAL_SEAL || inode.seals === 0) return;
	program.syscall("seal shared memory", nr.SYS_fcntl, [fd, F_ADD_SEALS, inode.seals], {
		remedies: { EINVAL: "this kernel lacks one of the seals: restore on the kernel of the dump or a newer one" },
	});
}
