// SPDX-License-Identifier: GPL-2.0-only
// Address space of a task, restore half: from mm-PID.img and its pagemap to operations that build it in place.
// Every mapping goes straight to its final address; pages are read there by the task itself.

import type { OpRef, Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import { F_SEAL_WRITE, O_RDWR } from "../../kernel/abi/fcntl.ts";
import * as mman from "../../kernel/abi/mman.ts";
import { PR_SET_MM, PR_SET_MM_MAP, PrctlMmMap } from "../../kernel/abi/prctl.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { TASK_SIZE } from "../../kernel/abi/task-size.x86_64.ts";
import type { RestoreContext, TaskImage, TaskPlan } from "../kind.ts";
import { memoryOwner, takesMemory } from "../task/sharing.ts";
import { EARLY_ADVICE, planAdvice } from "./advice.ts";
import { checkRings, planRingContent, planRings } from "./aio.ts";
import {
	findInherited,
	isForkedRing,
	type KeptVma,
	planClear,
	planInheritedContent,
	planKept,
	splitRuns,
} from "./inherit.ts";
import { findLazyMappings } from "./lazy.ts";
import { findPieces, planPieces, withPieces } from "./mapped.ts";
import { compareVdso, corruptMemory, PageIndex, planPageReads, readRuns, SPECIAL } from "./mm-pages.ts";
import { canForce, canWriteAnywhere, closeOwnMemory, openOwnMemory } from "./own-memory.ts";
import { PageFiles } from "./page-files.ts";
import { findSegment, planMappedSegment } from "./shared-memory.ts";
import { planSysvMemory } from "./sysv-plan.ts";
import { planVdsoInPlace, planVdsoProxy } from "./vdso.x86_64.ts";
import * as v from "./vma.ts";

const PAGE = 4096n;
const MAX_VMAS = 1 << 20;
const HUGE_BITS = 0x3f << 26;
const MAP_BITS =
	mman.MAP_SHARED |
	mman.MAP_PRIVATE |
	mman.MAP_DROPPABLE |
	mman.MAP_ANONYMOUS |
	mman.MAP_GROWSDOWN |
	mman.MAP_NORESERVE |
	mman.MAP_HUGETLB |
	HUGE_BITS;

const hex = (value: bigint) => `0x${value.toString(16)}`;
/** For exe_fd: leave the link as it is. */
const NO_EXE = 0xffffffff;

const isGuard = ({ status }: vma_entry) => (status & v.VMA_AREA_GUARD) !== 0;

/** Checks order and bounds; splits real mappings from guard regions. */
function checkVmas(file: string, vmas: readonly vma_entry[]): { mappings: vma_entry[]; guards: vma_entry[] } {
	if (vmas.length === 0 || vmas.length > MAX_VMAS) throw corruptMemory(file, `${vmas.length} VMAs`);
	const mappings: vma_entry[] = [];
	const guards: vma_entry[] = [];
	let end = 0n;
	for (const vma of vmas) {
		if (!isGuard(vma) && guards.length > 0) throw corruptMemory(file, "a VMA follows guard regions");
		if (vma.start % PAGE !== 0n || vma.end % PAGE !== 0n || vma.start >= vma.end || vma.pgoff % PAGE !== 0n)
			throw corruptMemory(file, `VMA ${hex(vma.start)}-${hex(vma.end)} isn't made of whole pages`);
		if ((vma.status & v.VMA_AREA_VSYSCALL) !== 0) continue;
		if (vma.end > TASK_SIZE) throw corruptMemory(file, `VMA ${hex(vma.start)} lies outside of user space`);
		if (isGuard(vma)) {
			guards.push(vma);
			continue;
		}
		if (vma.start < end) throw corruptMemory(file, `VMA ${hex(vma.start)} overlaps the one before`);
		if ((vma.prot & ~7) !== 0) throw corruptMemory(file, `VMA ${hex(vma.start)} has protection ${vma.prot}`);
		end = vma.end;
		mappings.push(vma);
	}
	return { mappings, guards };
}

function refuseUnsupported(file: string, vma: vma_entry): void {
	const refuse = (what: string) =>
		new UnsupportedError(
			"UNSUPPORTED_MAPPING",
			`${file}: mapping ${hex(vma.start)} is ${what}, which this version doesn't restore`,
			{
				remedy: "restore these images with the original criu",
			},
		);
	if ((vma.status & v.VMA_AREA_SHSTK) !== 0) throw refuse("a shadow stack");
	if ((vma.status & v.VMA_ANON_SHARED) !== 0) throw refuse("shared memory in an old form");
	const known = v.VMA_ANON_PRIVATE | v.VMA_FILE_PRIVATE | v.VMA_FILE_SHARED;
	const kind = vma.status & known;
	if ((vma.status & v.VMA_AREA_REGULAR) === 0 || (kind & (kind - 1)) !== 0 || kind === 0)
		throw corruptMemory(file, `mapping ${hex(vma.start)} has status ${hex(BigInt(vma.status))}`);
	// Pages of the images go into private mappings: in a shared one they would overwrite the file.
	const isShared = kind === v.VMA_FILE_SHARED;
	const sharing = vma.flags & (mman.MAP_SHARED | mman.MAP_PRIVATE | mman.MAP_DROPPABLE);
	const allowed = isShared ? [mman.MAP_SHARED] : [mman.MAP_PRIVATE, mman.MAP_DROPPABLE];
	if (!allowed.includes(sharing))
		throw corruptMemory(
			file,
			`mapping ${hex(vma.start)} has flags ${hex(BigInt(vma.flags >>> 0))}, which its status denies`,
		);
}

interface MappedVma {
	vma: vma_entry;
	/** Mapped writable for the reading of its pages, though it isn't. */
	lifted: boolean;
}

/** One mmap at the final address. */
export function planMapping(
	program: Program,
	vma: vma_entry,
	fd: OpRef | -1,
	lifted: boolean,
	what: string,
	end = vma.end,
): void {
	const prot = lifted ? vma.prot | mman.PROT_READ | mman.PROT_WRITE : vma.prot;
	const anonymous = fd === -1;
	let flags = (vma.flags & MAP_BITS) | mman.MAP_FIXED_NOREPLACE;
	flags = anonymous ? flags | mman.MAP_ANONYMOUS : flags & ~(mman.MAP_ANONYMOUS | mman.MAP_HUGETLB | HUGE_BITS);
	program.syscall(
		`map ${hex(vma.start)}-${hex(end)} ${what}`,
		nr.SYS_mmap,
		[vma.start, end - vma.start, prot, BigInt(flags >>> 0), fd, anonymous ? 0 : vma.pgoff],
		{
			check: { equal: vma.start },
			remedies: {
				ENOMEM: "free memory (or huge pages: vm.nr_hugepages), raise vm.max_map_count or vm.overcommit_memory",
				EACCES: "the file isn't accessible as it was when it was mapped: check its permissions and mount options",
				ENODEV: "the file system doesn't support memory mappings",
				EEXIST: "this is a bug in criu: please report it with the log file",
			},
		},
	);
}

/** As much as one call maps for several; more at once could count as overcommitment. */
const MAX_JOINED = 1n << 30n;

const protOf = ({ vma, lifted }: MappedVma) => (lifted ? vma.prot | mman.PROT_READ | mman.PROT_WRITE : vma.prot);
const isWritable = (prot: number) => (prot & mman.PROT_WRITE) !== 0;

/**
 * What neighbours are mapped with at first: the protection that most of them have, so that few are changed. None that is writable where
 * some aren't: memory that was writable once counts as committed.
 */
function commonProt(group: readonly MappedVma[]): number {
	const counts = new Map<number, number>();
	for (const one of group) counts.set(protOf(one), (counts.get(protOf(one)) ?? 0) + 1);
	const hasReadOnly = [...counts.keys()].some((prot) => !isWritable(prot));
	const fit = [...counts].filter(([prot]) => !hasReadOnly || !isWritable(prot));
	return fit.reduce((best, one) => (one[1] > best[1] ? one : best), [0, 0])[0];
}

/** Maps anonymous memory: neighbours that differ in their protection at most at once, which costs less than one by one. */
function planAnonymous(program: Program, anonymous: readonly MappedVma[]): void {
	const apart = mman.MAP_GROWSDOWN | mman.MAP_HUGETLB;
	for (let at = 0; at < anonymous.length; ) {
		const first = anonymous[at] as MappedVma;
		const { start, flags } = first.vma;
		const from = at;
		let { end } = first.vma;
		for (at++; at < anonymous.length && (flags & apart) === 0; at++) {
			const { vma } = anonymous[at] as MappedVma;
			if (vma.start !== end || ((vma.flags ^ flags) & MAP_BITS) !== 0 || vma.end - start > MAX_JOINED) break;
			end = vma.end;
		}
		const group = anonymous.slice(from, at);
		const prot = commonProt(group);
		planMapping(program, { ...first.vma, prot }, -1, false, "(anonymous)", end);
		for (const one of group) if (protOf(one) !== prot) planProtection(program, one.vma, protOf(one));
	}
}

function planProtection(program: Program, { start, end }: vma_entry, prot: number): void {
	program.syscall(() => `protect ${hex(start)}`, nr.SYS_mprotect, [start, end - start, prot], PROTECT_OPTIONS);
}

const PROTECT_OPTIONS = { remedies: { ENOMEM: "free memory, raise vm.max_map_count or vm.overcommit_memory" } };

/** The kernel puts uprobes into text that is mapped as such, not into what becomes text later: writable only then. */
function planFileMapping(
	program: Program,
	vma: vma_entry,
	fd: OpRef,
	lifted: boolean,
	what: string,
	context: RestoreContext,
): void {
	const takesUprobes = lifted && context.options.allowUprobes && (vma.prot & mman.PROT_EXEC) !== 0;
	planMapping(program, vma, fd, lifted && !takesUprobes, what);
	if (takesUprobes)
		program.syscall(`open ${hex(vma.start)} for its pages`, nr.SYS_mprotect, [
			vma.start,
			vma.end - vma.start,
			vma.prot | mman.PROT_READ | mman.PROT_WRITE,
		]);
}

/** Opens each file once and maps all VMAs of it. */
function planFileMappings(program: Program, vmas: readonly MappedVma[], plan: TaskPlan, context: RestoreContext): void {
	const groups = new Map<string, MappedVma[]>();
	for (const mapped of vmas) {
		const { vma } = mapped;
		const isMemfd = (vma.status & v.VMA_AREA_MEMFD) !== 0;
		const isShared = (vma.status & v.VMA_FILE_SHARED) !== 0;
		const guess = isShared && (vma.prot & mman.PROT_WRITE) !== 0 ? O_RDWR : 0;
		const flags = vma.fdflags === undefined || !Object.hasOwn(vma, "fdflags") ? guess : vma.fdflags & 3;
		const key = isMemfd ? `memfd:${vma.shmid}` : `${vma.shmid}:${flags}`;
		const group = groups.get(key);
		if (group === undefined) groups.set(key, [mapped]);
		else group.push(mapped);
	}
	for (const [key, group] of groups) {
		const id = Number(group[0]?.vma.shmid ?? 0n);
		if (key.startsWith("memfd:")) {
			planSegmentMappings(program, id, group, plan, context);
			continue;
		}
		const fd = context.openMapped(program, id, Number(key.split(":")[1]), plan);
		for (const { vma, lifted } of group) planFileMapping(program, vma, fd, lifted, `from file ${id}`, context);
		program.syscall("close the mapped file", nr.SYS_close, [fd]);
	}
}

function planSegmentMappings(
	program: Program,
	fileId: number,
	group: readonly MappedVma[],
	plan: TaskPlan,
	context: RestoreContext,
): void {
	const inode = findSegment(fileId, context);
	const isWritten = group.some(
		({ vma }) => (vma.status & v.VMA_FILE_SHARED) !== 0 && (vma.prot & mman.PROT_WRITE) !== 0,
	);
	if (isWritten && (inode.seals & F_SEAL_WRITE) !== 0)
		throw corruptMemory("memfd.img", `memory ${inode.shmid} is sealed against writing, but mapped to be written`);
	const fd = planMappedSegment(inode, group[0]?.vma ?? { start: 0n, end: 0n }, program, plan, context);
	for (const { vma, lifted } of group) planMapping(program, vma, fd, lifted, `from shared memory ${inode.shmid}`);
	program.syscall("close the shared memory", nr.SYS_close, [fd]);
}

/** Bounds, auxv and exe link, in one call. */
function planBounds(
	program: Program,
	image: TaskImage,
	plan: TaskPlan,
	context: RestoreContext,
	keepsExe: boolean,
): void {
	const { mm } = image;
	const auxv = new Uint8Array(BigUint64Array.from([...mm.mmSavedAuxv, ...mm.auxvTail]).buffer);
	const exe = keepsExe ? undefined : context.openMapped(program, mm.exeFileId, 0, plan);
	const map = program.out(PrctlMmMap.size);
	const bytes = PrctlMmMap.encode({
		start_code: mm.mmStartCode,
		end_code: mm.mmEndCode,
		start_data: mm.mmStartData,
		end_data: mm.mmEndData,
		start_brk: mm.mmStartBrk,
		brk: mm.mmBrk,
		start_stack: mm.mmStartStack,
		arg_start: mm.mmArgStart,
		arg_end: mm.mmArgEnd,
		env_start: mm.mmEnvStart,
		env_end: mm.mmEnvEnd,
		auxv_size: auxv.length,
		exe_fd: NO_EXE,
	});
	program.copy("prepare the memory bounds", map, bytes, bytes.length);
	if (auxv.length > 0) program.store("prepare auxv", { out: map.out + PrctlMmMap.offsets.auxv, length: 8 }, auxv, 8);
	if (exe !== undefined)
		program.store("prepare the exe link", { out: map.out + PrctlMmMap.offsets.exe_fd, length: 4 }, exe, 4);
	program.syscall(
		"set memory bounds, auxv and exe link",
		nr.SYS_prctl,
		[PR_SET_MM, PR_SET_MM_MAP, map, PrctlMmMap.size, 0],
		{
			remedies: {
				EINVAL: "the images hold bounds that this kernel refuses; check the data segment limit (ulimit -d)",
				EACCES: "the executable isn't executable any more: check its mode and the mount options (noexec)",
				EPERM: "the kernel needs CONFIG_CHECKPOINT_RESTORE; run as root",
				ETXTBSY: "the executable is open for writing: close it there",
			},
		},
	);
	if (exe !== undefined) program.syscall("close the executable", nr.SYS_close, [exe]);
}

/** Adds everything that builds the address space to the stage "memory". */
export function planMemoryMap(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	if (takesMemory(image, context)) return;
	const file = `mm-${image.pstree.pid}.img`;
	const program = plan.programs.memory;
	const { mappings, guards } = checkVmas(file, image.mm.vmas);
	checkRings(file, image.mm.aios, mappings);
	const chain = readRuns(image.tid, context);
	const { file: pagemapFile, runs } = chain;
	const maker = context.makers.get(image.tid);
	// Nothing of a maker's has to be compared with them, and nothing is put elsewhere.
	const pages = PageFiles.pass(chain, plan, context, maker === undefined && image.mm.aios.length === 0);
	plan.lazy.push(...findLazyMappings(image.tid, mappings, context));
	const vdso = compareVdso(pagemapFile, image, runs, mappings, pages, context);
	const pieces = findPieces(image, context);
	const toRead = pieces.length === 0 ? runs : [...splitRuns(runs, pieces)].filter(({ inBoth }) => !inBoth);
	const apart = [image, maker].map((one) => withPieces(one, context));
	const inherited = findInherited(image, maker, vdso?.choice !== "proxy", apart);
	planClear(program, inherited.ranges, 0n, plan.area.start);
	planClear(program, inherited.ranges, plan.area.end, TASK_SIZE);
	// Now: the exe link can't be changed while anything of the old one is mapped.
	planBounds(program, image, plan, context, inherited.exe);
	const makerRuns =
		maker === undefined || inherited.kept.size === 0 ? [] : readRuns(memoryOwner(maker, context), context).runs;
	const index = new PageIndex(toRead);
	const forced = toRead.length > 0 && context.once("forced-writes", canWriteAnywhere);
	const mapped: MappedVma[] = [];
	const keptMapped: KeptVma[] = [];
	const makerGuards = inherited.kept.size === 0 ? [] : (maker?.mm.vmas.filter(isGuard) ?? []);
	const attached: vma_entry[] = [];
	const rings: vma_entry[] = [];
	const forkedRings: vma_entry[] = [];
	for (const vma of mappings) {
		// Rings of packet sockets come when their sockets are there.
		if ((vma.status & (SPECIAL | v.VMA_AREA_SOCKET)) !== 0) continue;
		if ((vma.status & v.VMA_AREA_SYSVIPC) !== 0) {
			attached.push(vma);
			continue;
		}
		if ((vma.status & v.VMA_AREA_AIORING) !== 0) {
			rings.push(vma);
			if (isForkedRing(vma, image) && !inherited.rings.has(vma)) forkedRings.push(vma);
			continue;
		}
		refuseUnsupported(file, vma);
		const origin = inherited.kept.get(vma);
		if (origin !== undefined) {
			keptMapped.push(planKept(program, vma, origin, makerGuards, runs, makerRuns));
			continue;
		}
		const isLifted = (vma.prot & mman.PROT_WRITE) === 0 && !(forced && canForce(vma, context));
		mapped.push({ vma, lifted: isLifted && v.isPrivate(vma) && index.touches(vma.start, vma.end) });
	}
	const isAnonymous = ({ vma }: MappedVma) => (vma.status & v.VMA_ANON_PRIVATE) !== 0;
	planAnonymous(program, mapped.filter(isAnonymous));
	planPieces(program, mappings, pieces, pages);
	const backed = mapped.filter((m) => !isAnonymous(m));
	planFileMappings(program, backed, plan, context);
	if (attached.length > 0 || context.tasks.length > 1) planSysvMemory(image, attached, program, plan, context);
	for (const { vma } of mapped) planAdvice(program, vma, vma.madv & EARLY_ADVICE);
	if (vdso?.choice === "proxy") planVdsoProxy(program, image, mappings, vdso.image, vdso.host, plan);
	else if (vdso !== undefined && !inherited.vdso) planVdsoInPlace(program, image, vdso.image.layout);
	if (forced) {
		const way = openOwnMemory(program, plan);
		planPageReads(pagemapFile, program, toRead, mappings, pages, inherited.kept, way);
		closeOwnMemory(program, plan, way);
	} else planPageReads(pagemapFile, program, toRead, mappings, pages, inherited.kept, undefined);
	planInheritedContent(program, inherited.kept.keys(), runs, makerRuns, pages, plan);
	for (const vma of forkedRings) {
		planMapping(program, vma, -1, true, "(what was a ring of asynchronous I/O)");
		planRingContent(program, vma, 0n, runs, pages);
	}
	planRings(pagemapFile, image, program, runs, pages, plan, context);
	pages.planClose(program);
	for (const { vma, lifted } of mapped) planFinish(program, vma, lifted);
	for (const { vma, lifted, advice } of keptMapped) planFinish(program, vma, lifted, advice);
	for (const vma of [...attached, ...rings]) planFinish(program, vma, true);
	for (const guard of guards)
		program.syscall(
			`guard ${hex(guard.start)}-${hex(guard.end)}`,
			nr.SYS_madvise,
			[guard.start, guard.end - guard.start, mman.MADV_GUARD_INSTALL],
			{ remedies: { EINVAL: "guard regions need Linux 6.13 or later" } },
		);
}

/** What has to come after the pages: protection, the rest of the advice, locking. */
export function planFinish(program: Program, vma: vma_entry, lifted: boolean, advice = vma.madv): void {
	const length = vma.end - vma.start;
	if (lifted) planProtection(program, vma, vma.prot);
	planAdvice(program, vma, advice & ~EARLY_ADVICE);
	if ((vma.flags & mman.MAP_LOCKED) !== 0)
		// Locking memory that can't be touched marks it locked and then fails to populate it.
		program.syscall(
			`lock ${hex(vma.start)}`,
			nr.SYS_mlock2,
			[vma.start, length, vma.lockOnFault ? mman.MLOCK_ONFAULT : 0],
			{
				check: vma.prot === 0 ? { okOr: "ENOMEM" } : "ok",
				remedies: {
					ENOMEM: "free memory, or let the program lock less",
					EPERM: "run as root (CAP_IPC_LOCK)",
					EAGAIN: "free memory",
				},
			},
		);
}
