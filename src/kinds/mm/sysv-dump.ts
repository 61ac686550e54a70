// SPDX-License-Identifier: GPL-2.0-only
// System V shared memory, dump half: segments of the host's IPC namespace that nobody outside of the tree has attached.
// Their content travels in the images. Segments that nobody has attached stay where they are: they outlive processes.
// Images: ipcns-shm-N.img, pagemap-shmem-ID.img. Source: shmat(2), shmctl(2), ipc/shm.c. Inode numbers are ids.

import { type CriuError, isErrno, KernelError, UnsupportedError } from "../../errors.ts";
import { ipc_desc_entrySchema, type ipc_shm_entry, ipc_shm_entrySchema } from "../../images/gen/ipc_pb.ts";
import { create, type ImageDir, KINDS } from "../../images/index.ts";
import { IPC_STAT, SHM_DEST, SHM_HUGETLB, ShmidDs } from "../../kernel/abi/ipc.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_shmctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { readMaps, type VmaFacts } from "../../kernel/procfs/maps.ts";
import type { SmapsFacts } from "../../kernel/procfs/smaps.ts";
import { listProcesses } from "../../kernel/procfs/tasks.ts";
import { openAt, statFd } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import type { DumpContext, DumpedTask } from "../kind.ts";
import { firstSharer } from "../task/sharing.ts";
import { isKernelMemory } from "./memory-device.ts";

const HUGE_SHIFT = 26;
const SYSV_NAME = Buffer.from("/SYSV");
const decoder = new TextDecoder("latin1");

/** A segment whose pages are to be written. */
export interface DumpedSysvSegment {
	readonly inode: { readonly shmid: number; readonly size: bigint };
	/** A readable descriptor of ours. */
	readonly fd: number;
	readonly entry: ipc_shm_entry;
}

interface Attachment {
	readonly task: DumpedTask;
	readonly vma: SmapsFacts;
}

function hasSysvName({ name }: VmaFacts): boolean {
	return name.length > SYSV_NAME.length && name[1] === SYSV_NAME[1] && SYSV_NAME.every((byte, i) => name[i] === byte);
}

const isSysv = (vma: VmaFacts) => hasSysvName(vma) && decoder.decode(vma.name).endsWith(" (deleted)");

/** What a segment's mapping is called tells the key that it was made with, also after it was removed. */
function keyOfName({ name }: VmaFacts): number {
	const digits = /^\/SYSV([0-9a-f]{8}) /.exec(decoder.decode(name))?.[1];
	return digits === undefined ? 0 : Number.parseInt(digits, 16);
}

/** All attachments of the tree by segment; memory that tasks share counts once. */
function attachmentsOf(context: DumpContext): ReadonlyMap<number, readonly Attachment[]> {
	return context.once("sysv-attachments", () => {
		const found = new Map<number, Attachment[]>();
		for (const task of context.tasks)
			for (const vma of task.vmas) {
				if (!isSysv(vma) || firstSharer("vm", task, context) !== task) continue;
				const list = found.get(Number(vma.ino));
				if (list === undefined) found.set(Number(vma.ino), [{ task, vma }]);
				else list.push({ task, vma });
			}
		return found;
	});
}

/** Ids of all segments that the tree has attached. */
export function sysvIds(context: DumpContext): Iterable<number> {
	return attachmentsOf(context).keys();
}

/** What the kernel tells of a segment of our IPC namespace; undefined when it has none of that id. @throws KernelError */
export function statSegment(id: number): ShmidDs | undefined {
	const bytes = new Uint8Array(ShmidDs.size);
	const ret = syscall(SYS_shmctl, id, IPC_STAT, bytes);
	if (ret === 0) return ShmidDs.read(viewOf(bytes));
	const error = new KernelError("shmctl", -ret, `IPC_STAT of segment ${id}`);
	if (isErrno(error, "EINVAL", "EIDRM")) return undefined;
	throw error;
}

const hugeShift = (vma: SmapsFacts) => (vma.vmFlags.has("ht") ? Math.log2(vma.kernelPageSizeKb * 1024) : 0);

/** True when the mapping is what its name says, not a file of that name. */
function isGenuine(vma: SmapsFacts): boolean {
	const shift = hugeShift(vma);
	const MFD_HUGETLB = 4;
	const flags = shift === 0 ? 0 : MFD_HUGETLB | (shift << HUGE_SHIFT);
	return vma.shared && isKernelMemory(vma, flags >>> 0);
}

/** Who else has the segment attached, for the user to know. */
function nameOutsiders(id: number, context: DumpContext): string {
	const inside = new Set(context.tasks.map(({ pid }) => pid));
	const found = listProcesses().filter((pid) => {
		if (inside.has(pid)) return false;
		try {
			return readMaps(pid).some((vma) => vma.ino === BigInt(id) && isSysv(vma));
		} catch {
			return false;
		}
	});
	return found.length === 0
		? "somebody outside of the tree"
		: `pid ${found.slice(0, 4).join(", ")} outside of the tree`;
}

function judge(id: number, { task, vma }: Attachment, count: number, context: DumpContext): CriuError | undefined {
	const refuse = (problem: string, remedy: string) =>
		new UnsupportedError("SYSV_SHM", `pid ${task.pid}: System V shared memory segment ${id} ${problem}`, { remedy });
	const info = statSegment(id);
	if (!isGenuine(vma) || info === undefined)
		return refuse(
			"isn't one of this IPC namespace",
			"run criu in the IPC namespace of the segment (nsenter --ipc), or let the program detach it (shmdt)",
		);
	const attached = Number(info.shm_nattch);
	if (attached > count)
		return refuse(
			`is attached by ${nameOutsiders(id, context)}, too`,
			"dump a tree that holds all of its users, or end the others first",
		);
	if (attached < count)
		return refuse("is mapped in other ways than by shmat", "let the program use shmat alone to map it");
	return undefined;
}

/** What stands against a dump of the segments that a task has attached; each is judged once. */
export function findSysvBlockers(task: DumpedTask, context: DumpContext): CriuError[] {
	const ids = new Set(task.vmas.filter(isSysv).map(({ ino }) => Number(ino)));
	return [...ids].flatMap((id) => {
		const attachments = attachmentsOf(context).get(id) ?? [];
		const [first] = attachments;
		if (first === undefined || first.task !== task) return [];
		return judge(id, first, attachments.length, context) ?? [];
	});
}

function encodeSegment(id: number, info: ShmidDs, vma: SmapsFacts, context: DumpContext): ipc_shm_entry {
	const shift = hugeShift(vma);
	const creator = context.tasks.find(({ pid }) => pid === info.shm_cpid);
	return create(ipc_shm_entrySchema, {
		desc: create(ipc_desc_entrySchema, {
			key: (info.mode & SHM_DEST) === 0 ? info.key : keyOfName(vma),
			uid: info.uid,
			gid: info.gid,
			cuid: info.cuid,
			cgid: info.cgid,
			mode: info.mode & ~SHM_HUGETLB,
			id,
		}),
		size: info.shm_segsz,
		inPagemaps: true,
		changed: info.shm_ctime,
		...(creator === undefined ? {} : { creator: creator.vpid }),
		...(shift === 0 ? {} : { hugetlbFlag: (SHM_HUGETLB | (shift << HUGE_SHIFT)) >>> 0 }),
	});
}

/** Segments that a dump has met so far. */
export function listSysvSegments(context: DumpContext): readonly DumpedSysvSegment[] {
	return context.once("sysv-segments", () => [] as DumpedSysvSegment[]);
}

/** Registers the segment that a VMA maps; `path` is its link in map_files. Gives its id. @throws KernelError */
export function dumpSysvSegment(vma: SmapsFacts, path: string, context: DumpContext): number {
	const id = Number(vma.ino);
	return context.once(`sysv:${id}`, () => {
		const info = statSegment(id);
		if (info === undefined) throw new KernelError("shmctl", 22, `IPC_STAT of segment ${id}`);
		// Stays open: its pages are read after the VMAs are known.
		const fd = openAt(path, 0);
		const inode = { shmid: id, size: statFd(fd).size };
		const list = context.once("sysv-segments", () => [] as DumpedSysvSegment[]);
		list.push({ inode, fd, entry: encodeSegment(id, info, vma, context) });
		return id;
	});
}

/** Writes ipcns-shm-N.img, N being criu's own IPC namespace, when there's anything for it. @throws ImageError */
export function writeSysvSegments(context: DumpContext, dir: ImageDir, namespace: number): void {
	const entries = listSysvSegments(context).map(({ entry }) => entry);
	if (entries.length > 0) dir.writeEntries(KINDS.IPCNS_SHM, namespace, entries);
}
