// SPDX-License-Identifier: GPL-2.0-only
// System V shared memory, restore half: a segment that is still there gets the content of the images, one that is gone is
// made again under its id and key; all attach it where they had it.
// Source: shmget(2), shmat(2), shmctl(2), proc_sys_kernel(5) shm_next_id.

import type { Program } from "../../agent/program.ts";
import { CriuError, ImageError } from "../../errors.ts";
import type { ipc_shm_entry } from "../../images/gen/ipc_pb.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import { hasField, KINDS } from "../../images/index.ts";
import { AT_FDCWD, O_RDWR, O_WRONLY } from "../../kernel/abi/fcntl.ts";
import * as ipc from "../../kernel/abi/ipc.ts";
import * as mman from "../../kernel/abi/mman.ts";
import { PR_SET_DUMPABLE, PR_SET_SECUREBITS } from "../../kernel/abi/prctl.ts";
import { SECBIT_NO_SETUID_FIXUP } from "../../kernel/abi/securebits.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { readSysvShm } from "../../kernel/procfs/sysvipc.ts";
import { log } from "../../log.ts";
import { toCString } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import type { RestoreContext, TaskImage, TaskPlan } from "../kind.ts";
import { planContent } from "./shared-memory.ts";
import { statSegment } from "./sysv-dump.ts";
import * as v from "./vma.ts";

const FILE = "ipcns-shm";
const MAX_SEGMENT = 1n << 45n;
const MAX_ID = 0x7fffffff;
const PERMISSIONS = 0o777;
const KNOWN_MODE = PERMISSIONS | ipc.SHM_DEST | ipc.SHM_LOCKED | ipc.SHM_HUGETLB;
/** The part of an id that is the object's place. Source: ipc/util.h, IPCMNI_SHIFT. */
const PLACE_MASK = 0x7fff;
const NOBODY = -1;
/** Neither group nor user: leave as it is. */
const SAME = 0xffffffff;

const isAttachment = (vma: vma_entry) => (vma.status & v.VMA_AREA_SYSVIPC) !== 0;

/** A segment on its way back. */
interface Segment {
	readonly entry: ipc_shm_entry;
	/** As it will have it here. */
	readonly id: number;
	readonly key: number;
	/** It's there, as a program left it. */
	readonly exists: boolean;
	made: TaskPlan | undefined;
	removed: boolean;
}

function corrupt(problem: string): ImageError {
	return new ImageError("IMAGE_CORRUPT", `${FILE}: ${problem}`, {
		file: FILE,
		remedy: "dump again; the images were damaged",
	});
}

function checkEntry({ desc, size, hugetlbFlag, inPagemaps }: ipc_shm_entry): number {
	if (desc === undefined || desc.id > MAX_ID) throw corrupt("a segment without an id");
	const fail = (problem: string) => corrupt(`segment ${desc.id} ${problem}`);
	if (size === 0n || size > MAX_SEGMENT) throw fail(`has ${size} bytes`);
	if ((desc.mode & ~KNOWN_MODE) !== 0) throw fail(`has mode 0${desc.mode.toString(8)}`);
	if ((hugetlbFlag & ~(ipc.SHM_HUGETLB | (0x3f << 26))) !== 0) throw fail(`has flags 0x${hugetlbFlag.toString(16)}`);
	if (!inPagemaps) throw fail("has its content in an old form");
	if ([desc.uid, desc.gid, desc.cuid, desc.cgid].includes(SAME)) throw fail("has an owner that is no id");
	return desc.id;
}

/** Entries of the segments that some task has attached. */
function readEntries(context: RestoreContext): Map<number, ipc_shm_entry> {
	const wanted = new Set<number>();
	for (const { mm } of context.tasks)
		for (const vma of mm.vmas) if (isAttachment(vma)) wanted.add(Number(BigInt.asUintN(32, vma.shmid)));
	const found = new Map<number, ipc_shm_entry>();
	if (wanted.size === 0) return found;
	const namespace = context.tasks[0]?.ids.ipcNsId ?? 0;
	for (const entry of context.dir.readEntries(KINDS.IPCNS_SHM, namespace)) {
		const id = checkEntry(entry);
		if (found.has(id)) throw corrupt(`segment ${id} is there twice`);
		if (wanted.has(id)) found.set(id, entry);
	}
	for (const id of wanted) if (!found.has(id)) throw corrupt(`segment ${id}, which is attached, is missing`);
	return found;
}

function taken(id: number, problem: string): CriuError {
	return new CriuError("SYSV_SHM_TAKEN", `System V shared memory segment ${id} can't be had: ${problem}`, {
		remedy: "look with ipcs -m whose that is, and remove it (ipcrm) if nobody needs it",
	});
}

/** True when the segment of that id is what the dumped program left. */
function isSame(entry: ipc_shm_entry, info: ipc.ShmidDs, context: RestoreContext): boolean {
	const { desc, size } = entry;
	if (desc === undefined || info.key !== desc.key || info.shm_segsz !== size) return false;
	if (info.cuid !== desc.cuid || info.cgid !== desc.cgid) return false;
	if (desc.key !== ipc.IPC_PRIVATE) return true;
	const isMade = hasField(entry, "creator") && !context.options.newPidns && info.shm_cpid === entry.creator;
	return isMade || (hasField(entry, "changed") && info.shm_ctime === entry.changed);
}

const isKeyTaken = (key: number) => key !== ipc.IPC_PRIVATE && syscall(nr.SYS_shmget, key | 0, 0, 0) >= 0;

/** That id, or one whose place is free. @throws CriuError SYSV_SHM_TAKEN */
function findFreeId(id: number): number {
	const places = new Set(readSysvShm().map((line) => line.id & PLACE_MASK));
	if (!places.has(id & PLACE_MASK)) return id;
	for (let place = 0; place <= PLACE_MASK; place++) if (!places.has(place)) return (id & ~PLACE_MASK) | place;
	throw taken(id, "all places for segments are in use");
}

/** Finds out how a segment comes back on this host. @throws CriuError SYSV_SHM_TAKEN */
function examine(entry: ipc_shm_entry, context: RestoreContext): Segment {
	const { id = 0, key = 0, mode = 0 } = entry.desc ?? {};
	const segment = { entry, id, key, exists: false, made: undefined, removed: false };
	if ((mode & ipc.SHM_DEST) !== 0) {
		// Nobody looks for it by a key, and hardly by its number: another one will do, if need be.
		const free = findFreeId(id);
		if (free !== id) log.warn(`the removed System V segment ${id} gets the number ${free}: its own is taken`);
		return { ...segment, id: free, key: isKeyTaken(key) ? ipc.IPC_PRIVATE : key };
	}
	const info = statSegment(id);
	if (info === undefined) {
		if (isKeyTaken(key)) throw taken(id, `its key 0x${(key >>> 0).toString(16)} belongs to another one`);
		if (findFreeId(id) !== id) throw taken(id, "its place is taken by another one");
		return segment;
	}
	if (!isSame(entry, info, context)) throw taken(id, "another segment has that id");
	if (info.shm_nattch > 0n) throw taken(id, `it's there and attached ${info.shm_nattch} times`);
	return { ...segment, exists: true };
}

function segmentsOf(context: RestoreContext): ReadonlyMap<number, Segment> {
	return context.once("sysv-segments", () => {
		const entries = readEntries(context);
		return new Map([...entries].map(([id, entry]) => [id, examine(entry, context)]));
	});
}

/** Removes a segment that a failed restore has made, whatever number it got. */
function removeUnfinished({ entry, key }: Segment, before: ReadonlySet<number>): void {
	for (const line of readSysvShm())
		if (!before.has(line.id) && line.attached === 0 && line.key === (key | 0) && line.size === entry.size)
			syscall(nr.SYS_shmctl, line.id, ipc.IPC_RMID, 0);
}

/** The creator's ids are those with which it's made. */
function asCreator(program: Program, { desc }: ipc_shm_entry, make: () => void): void {
	const { cuid = 0, cgid = 0 } = desc ?? {};
	if (cuid === 0 && cgid === 0) {
		make();
		return;
	}
	const become = (uid: number, gid: number) => {
		program.syscall("become the creator's group", nr.SYS_setresgid, [SAME, gid, SAME]);
		program.syscall("become the creator", nr.SYS_setresuid, [SAME, uid, SAME]);
	};
	program.syscall("keep capabilities", nr.SYS_prctl, [PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP]);
	become(cuid, cgid);
	make();
	become(0, 0);
	program.syscall("as before", nr.SYS_prctl, [PR_SET_SECUREBITS, 0]);
	program.syscall("as before", nr.SYS_prctl, [PR_SET_DUMPABLE, 1]);
}

function planCreation(program: Program, segment: Segment): void {
	const { entry, id, key } = segment;
	const what = `System V segment ${id}`;
	const text = Buffer.from(String(id));
	const next = program.syscall(
		`choose the id of ${what}`,
		nr.SYS_openat,
		[AT_FDCWD, toCString("/proc/sys/kernel/shm_next_id"), O_WRONLY, 0],
		{ remedies: { ENOENT: "the kernel needs CONFIG_CHECKPOINT_RESTORE" } },
	);
	program.syscall(`choose the id of ${what}`, nr.SYS_write, [next, new Uint8Array(text), text.length]);
	program.syscall("close it", nr.SYS_close, [next]);
	const mode = (entry.desc?.mode ?? 0) & PERMISSIONS;
	const flags = ipc.IPC_CREAT | ipc.IPC_EXCL | mode;
	asCreator(program, entry, () => {
		program.syscall(
			`make ${what}`,
			nr.SYS_shmget,
			[BigInt(key >>> 0), entry.size, BigInt((flags | entry.hugetlbFlag) >>> 0)],
			{
				remedies: {
					ENOSPC: "raise kernel.shmmni and kernel.shmall (sysctl)",
					EINVAL: "raise kernel.shmmax (sysctl)",
					ENOMEM: "free memory or huge pages (vm.nr_hugepages)",
					EEXIST: "another program has just made one of that key: try again",
				},
			},
		);
	});
}

const ATTACH_REMEDIES = {
	EINVAL: "another program has just made a System V segment: try again",
	EIDRM: "another program has just removed it: try again",
	ENOMEM: "free memory",
};

function attach(program: Program, id: number, at: bigint, flags: number): void {
	program.syscall(`attach System V segment ${id} at 0x${at.toString(16)}`, nr.SYS_shmat, [id, at, flags], {
		check: { equal: at },
		remedies: ATTACH_REMEDIES,
	});
}

/** Makes the segment, or takes the one that's there, and gives it the content of the images. */
function planSegment(program: Program, segment: Segment, plan: TaskPlan, context: RestoreContext): void {
	const { entry, id, exists } = segment;
	const { desc, size } = entry;
	const what = `System V segment ${id}`;
	segment.made = plan;
	if (!exists) {
		const before = new Set(readSysvShm().map((line) => line.id));
		plan.undo.push(() => removeUnfinished(segment, before));
		planCreation(program, segment);
	}
	attach(program, id, plan.scratch, 0);
	// What isn't in the images is empty.
	if (exists) program.syscall(`empty ${what}`, nr.SYS_madvise, [plan.scratch, wholePages(size), mman.MADV_REMOVE]);
	planContent({ shmid: desc?.id ?? 0, size }, program, plan, context, plan.scratch, what);
	program.syscall(`detach ${what}`, nr.SYS_shmdt, [plan.scratch]);
	const owner = ipc.ShmidDs.encode({ uid: desc?.uid, gid: desc?.gid, mode: (desc?.mode ?? 0) & PERMISSIONS });
	program.syscall(`own ${what}`, nr.SYS_shmctl, [id, ipc.IPC_SET, owner]);
	if (((desc?.mode ?? 0) & ipc.SHM_LOCKED) !== 0)
		program.syscall(`lock ${what}`, nr.SYS_shmctl, [id, ipc.SHM_LOCK, 0], { remedies: { ENOMEM: "free memory" } });
}

const wholePages = (size: bigint) => (size + 4095n) & ~4095n;

/** Whether VMAs, by ascending address, cover all of an attachment that begins at `base`. */
function coversAll(vmas: readonly vma_entry[], base: bigint, size: bigint): boolean {
	let at = base;
	for (const { start, end } of vmas) {
		if (start !== at) return false;
		at = end;
	}
	return at >= base + wholePages(size);
}

/** VMAs of one segment by the address at which its first byte is, or would be. */
function groupByBase(vmas: readonly vma_entry[]): Map<string, vma_entry[]> {
	const groups = new Map<string, vma_entry[]>();
	for (const vma of vmas) {
		const key = `${vma.shmid}:${vma.start - vma.pgoff}`;
		const group = groups.get(key);
		if (group === undefined) groups.set(key, [vma]);
		else group.push(vma);
	}
	return groups;
}

/** One call of shmat; parts that are missing or were moved come from an attachment elsewhere. */
function planAttachment(program: Program, vmas: readonly vma_entry[], { id, entry }: Segment, scratch: bigint): void {
	const [first] = vmas;
	if (first === undefined) return;
	const isWritable = vmas.some(({ prot, fdflags }) => (fdflags & 3) === O_RDWR || (prot & mman.PROT_WRITE) !== 0);
	const isCode = vmas.some(({ prot }) => (prot & mman.PROT_EXEC) !== 0);
	const flags = (isWritable ? 0 : ipc.SHM_RDONLY) | (isCode ? ipc.SHM_EXEC : 0);
	const base = first.start - first.pgoff;
	if (coversAll(vmas, base, entry.size)) {
		attach(program, id, base, flags);
		return;
	}
	attach(program, id, scratch, flags);
	const move = mman.MREMAP_MAYMOVE | mman.MREMAP_FIXED;
	for (const { start, end, pgoff } of vmas)
		program.syscall(
			`move a part of System V segment ${id} to 0x${start.toString(16)}`,
			nr.SYS_mremap,
			[scratch + pgoff, end - start, end - start, move, start],
			{ check: { equal: start } },
		);
	// Huge pages may make it longer than its size tells.
	let rest = wholePages(entry.size);
	for (const { start, end, pgoff } of vmas) if (pgoff + end - start > rest) rest = pgoff + end - start;
	program.syscall("detach the rest", nr.SYS_munmap, [scratch, rest]);
}

function checkAttachment(file: string, vma: vma_entry, segments: ReadonlyMap<number, Segment>): void {
	const segment = segments.get(Number(vma.shmid));
	const isShared = (vma.flags & (mman.MAP_SHARED | mman.MAP_PRIVATE)) === mman.MAP_SHARED;
	const isHuge = ((segment?.entry.hugetlbFlag ?? 0) & ipc.SHM_HUGETLB) !== 0;
	const fits = segment !== undefined && vma.pgoff + vma.end - vma.start <= wholePages(segment.entry.size);
	if (!isShared || segment === undefined || (!isHuge && !fits))
		throw new ImageError("IMAGE_CORRUPT", `${file}: attachment 0x${vma.start.toString(16)} doesn't fit its segment`, {
			file,
			remedy: "dump again; the images were damaged",
		});
}

/**
 * Adds what attaches the System V segments that a task has; its VMAs with another protection than shmat gives are left to the
 * caller to protect. The first task that has a segment makes it, or one before it that made it originally.
 *
 * @throws ImageError, CriuError SYSV_SHM_TAKEN
 */
export function planSysvMemory(
	image: TaskImage,
	vmas: readonly vma_entry[],
	program: Program,
	plan: TaskPlan,
	context: RestoreContext,
): void {
	const segments = segmentsOf(context);
	const own = new Set(vmas.map(({ shmid }) => Number(shmid)));
	for (const vma of vmas) checkAttachment(`mm-${image.tid}.img`, vma, segments);
	for (const [id, segment] of segments) {
		const isCreator = (hasField(segment.entry, "creator") ? segment.entry.creator : NOBODY) === image.tid;
		if (segment.made === undefined && (own.has(id) || isCreator)) planSegment(program, segment, plan, context);
		if (own.has(id) && segment.made !== undefined && segment.made !== plan) plan.awaits.add(segment.made.pid);
	}
	for (const group of groupByBase(vmas).values()) {
		const segment = segments.get(Number(group[0]?.shmid ?? 0n));
		if (segment !== undefined) planAttachment(program, group, segment, plan.scratch);
	}
	// A removed segment can still be attached by its id as long as somebody has it: from here on it can't stay behind.
	for (const id of own) {
		const segment = segments.get(id);
		if (segment === undefined || segment.removed || ((segment.entry.desc?.mode ?? 0) & ipc.SHM_DEST) === 0) continue;
		segment.removed = true;
		program.syscall(`remove System V segment ${segment.id}`, nr.SYS_shmctl, [segment.id, ipc.IPC_RMID, 0]);
	}
}
