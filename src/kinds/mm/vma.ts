// SPDX-License-Identifier: GPL-2.0-only
// VMAs of a task as mm-PID.img describes them: what each is, from its line in /proc/PID/smaps.
// Source: proc_pid_smaps(5); image-format: status bits are part of the image ABI.

import { type CriuError, UnsupportedError } from "../../errors.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import { vma_entrySchema } from "../../images/gen/mm_pb.ts";
import { create } from "../../images/index.ts";
import * as mman from "../../kernel/abi/mman.ts";
import { TASK_SIZE } from "../../kernel/abi/task-size.x86_64.ts";
import { isWatched, type SmapsFacts } from "../../kernel/procfs/smaps.ts";
import type { PrivateRange } from "../../pages/pagemap.ts";
import type { Ranges } from "../../pages/ranges.ts";
import { showPath } from "../../sys/file.ts";
import { isKernelMemory } from "./memory-device.ts";

export const VMA_AREA_REGULAR = 0x1;
export const VMA_AREA_VSYSCALL = 0x4;
export const VMA_AREA_VDSO = 0x8;
export const VMA_AREA_HEAP = 0x20;
export const VMA_FILE_PRIVATE = 0x40;
export const VMA_FILE_SHARED = 0x80;
export const VMA_ANON_SHARED = 0x100;
export const VMA_ANON_PRIVATE = 0x200;
export const VMA_AREA_SYSVIPC = 0x400;
export const VMA_AREA_SOCKET = 0x800;
export const VMA_AREA_VVAR = 0x1000;
export const VMA_AREA_AIORING = 0x2000;
export const VMA_AREA_MEMFD = 0x4000;
export const VMA_AREA_SHSTK = 0x8000;
export const VMA_AREA_GUARD = 0x10000;

/** What a VMA shows. */
export type VmaClass =
	| "vdso"
	| "vvar"
	| "vsyscall"
	| "uprobes"
	| "anonymous"
	| "file"
	| "shared-memory"
	| "sysv"
	| "packet-ring"
	| "aio"
	| { blocked: "device" | "io_uring" | "anon-inode" | "uffd" | "shadow-stack" };

const decoder = new TextDecoder("latin1");

/** The name of a VMA as text; good enough for the kernel's own names. */
export function vmaName(vma: SmapsFacts): string {
	return vma.name.length === 0 ? "" : decoder.decode(vma.name);
}

const RING = new TextEncoder().encode("/[aio]");

/** True for a ring of asynchronous I/O. Costs next to nothing for all others. */
export function isRing({ shared, name }: SmapsFacts): boolean {
	return shared && name[1] === RING[1] && RING.every((byte, i) => name[i] === byte);
}

/** madvise advice by the mnemonic in VmFlags. */
const ADVICE: ReadonlyArray<readonly [string, number]> = [
	["rr", mman.MADV_RANDOM],
	["sr", mman.MADV_SEQUENTIAL],
	["dc", mman.MADV_DONTFORK],
	["mg", mman.MADV_MERGEABLE],
	["hg", mman.MADV_HUGEPAGE],
	["nh", mman.MADV_NOHUGEPAGE],
	["dd", mman.MADV_DONTDUMP],
	["wf", mman.MADV_WIPEONFORK],
];

/** What VmFlags say, looked up once for each set of them: thousands of mappings share one. */
interface FlagFacts {
	/** How many flags there were: marks of our own trackers are taken out of a set later. */
	readonly count: number;
	readonly blocked: Extract<VmaClass, { blocked: string }> | undefined;
	/** One bit for each MADV_*. */
	readonly advice: bigint;
	/** MAP_* of a private mapping. */
	readonly mapFlags: number;
	readonly isHuge: boolean;
	readonly lockOnFault: boolean;
}

const flagFacts = new WeakMap<ReadonlySet<string>, FlagFacts>();

function factsOf(flags: ReadonlySet<string>): FlagFacts {
	let facts = flagFacts.get(flags);
	if (facts !== undefined && facts.count === flags.size) return facts;
	let advice = 0n;
	for (const [flag, number] of ADVICE) if (flags.has(flag)) advice |= 1n << BigInt(number);
	let mapFlags = flags.has("dp") ? mman.MAP_DROPPABLE : mman.MAP_PRIVATE;
	if (flags.has("gd")) mapFlags |= mman.MAP_GROWSDOWN;
	if (flags.has("lo")) mapFlags |= mman.MAP_LOCKED;
	if (flags.has("nr")) mapFlags |= mman.MAP_NORESERVE;
	facts = {
		count: flags.size,
		blocked: isWatched(flags) ? { blocked: "uffd" } : flags.has("ss") ? { blocked: "shadow-stack" } : undefined,
		advice,
		mapFlags,
		isHuge: flags.has("ht"),
		lockOnFault: flags.has("lf"),
	};
	flagFacts.set(flags, facts);
	return facts;
}

/** Says what a VMA is, by its name and flags. */
export function classifyVma(vma: SmapsFacts): VmaClass {
	const { blocked } = factsOf(vma.vmFlags);
	if (vma.name.length === 0) return blocked ?? "anonymous";
	const name = vmaName(vma);
	if (name === "[vdso]") return "vdso";
	if (name.startsWith("[vvar")) return "vvar";
	if (name === "[vsyscall]") return "vsyscall";
	if (name === "[uprobes]") return "uprobes";
	if (blocked !== undefined) return blocked;
	// The inode of a System V segment is its id, which may be 0.
	if (name.startsWith("/SYSV") && name.endsWith(" (deleted)")) return "sysv";
	if (vma.ino === 0n) return "anonymous";
	// The kernel's own shared memory lies on a mount without a device number to be seen: names tell.
	// A private mapping of it was made by way of /proc/PID/map_files; the device of that name can be mapped privately as well.
	if (name === "/dev/zero (deleted)") return vma.shared || isKernelMemory(vma) ? "shared-memory" : "file";
	if (name === "/anon_hugepage (deleted)") return vma.shared ? "shared-memory" : "anonymous";
	if (name.startsWith("/memfd:")) return "shared-memory";
	if (name.startsWith("/[aio]")) return isRing(vma) ? "aio" : { blocked: "anon-inode" };
	if (name.startsWith("anon_inode:[io_uring]")) return { blocked: "io_uring" };
	if (name.startsWith("anon_inode:")) return { blocked: "anon-inode" };
	if (name.startsWith("socket:")) return "packet-ring";
	if (vma.vmFlags.has("io") || vma.vmFlags.has("pf")) return { blocked: "device" };
	return "file";
}

type BlockedBy = Extract<VmaClass, { blocked: string }>["blocked"];

const BLOCKED: Record<BlockedBy, { reason: string; remedy: string }> = {
	device: {
		reason: "is memory of a device",
		remedy: "close the device in the program; its state isn't in the process",
	},
	io_uring: {
		reason: "belongs to an io_uring, whose state the kernel doesn't tell",
		remedy: "turn io_uring off in the program",
	},
	"anon-inode": {
		reason: "maps a kernel object that can't be dumped",
		remedy: "close the object in the program first",
	},
	uffd: { reason: "is registered with a userfaultfd", remedy: "let the program unregister it first" },
	"shadow-stack": {
		reason: "is a shadow stack, which this version doesn't dump",
		remedy: "start the program with GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK",
	},
};

const hex = (value: bigint) => value.toString(16);

/** Images have no place for the key of a mapping; memory that can only be executed gets one by itself. */
const isUnderKey = ({ protectionKey, prot }: SmapsFacts) => protectionKey !== 0 && prot !== mman.PROT_EXEC;

/** Everything about the VMAs of a task that stops a dump. `allowUprobes`: uprobes are accepted. */
export function findVmaBlockers(pid: number, vmas: readonly SmapsFacts[], allowUprobes = false): CriuError[] {
	const found: CriuError[] = [];
	for (const vma of vmas) {
		const what = classifyVma(vma);
		const isHigh = vma.end > TASK_SIZE && what !== "vsyscall";
		if (typeof what === "string" && what !== "uprobes" && vma.protectionKey === 0 && !isHigh) continue;
		const refuse = (reason: string, remedy: string) =>
			found.push(
				new UnsupportedError(
					"UNSUPPORTED_MAPPING",
					`pid ${pid}: mapping ${hex(vma.start)}-${hex(vma.end)} ${showPath(vma.name)} ${reason}`,
					{ remedy },
				),
			);
		if (typeof what === "object") refuse(BLOCKED[what.blocked].reason, BLOCKED[what.blocked].remedy);
		else if (what === "uprobes" && !allowUprobes)
			refuse(
				"belongs to a uprobe of the kernel's tracing",
				"remove the uprobe (perf probe --del, bpftrace), or give --allow-uprobes where it will be there at the restore, too",
			);
		else if (isUnderKey(vma))
			refuse(
				`is under protection key ${vma.protectionKey}, which images can't hold`,
				"let the program give the memory back to key 0 (pkey_mprotect) first",
			);
		else if (isHigh)
			refuse(
				"lies above the first 47 bits of addresses, which programs get only by asking for it",
				"boot with the kernel parameter no5lvl, or keep the program from giving mmap such addresses",
			);
	}
	return found;
}

/** What backs a VMA that isn't private anonymous memory. */
export interface Backing {
	/** File id, memfd inode's file id or id of a System V segment. */
	shmid: bigint;
	/** O_RDONLY, O_WRONLY, O_RDWR of the mapping's file. */
	fdflags: number | undefined;
}

function statusOf(what: VmaClass, vma: SmapsFacts): number {
	switch (what) {
		case "vsyscall":
			return VMA_AREA_VSYSCALL | VMA_ANON_PRIVATE;
		case "vdso":
			return VMA_AREA_REGULAR | VMA_AREA_VDSO | VMA_ANON_PRIVATE;
		case "vvar":
			return VMA_AREA_REGULAR | VMA_AREA_VVAR | VMA_ANON_PRIVATE;
		case "shared-memory":
			return VMA_AREA_REGULAR | VMA_AREA_MEMFD | (vma.shared ? VMA_FILE_SHARED : VMA_FILE_PRIVATE);
		case "sysv":
			return VMA_AREA_REGULAR | VMA_AREA_SYSVIPC | VMA_ANON_SHARED;
		case "packet-ring":
			return VMA_AREA_REGULAR | VMA_AREA_SOCKET;
		case "aio":
			return VMA_AREA_AIORING;
		case "file":
			return VMA_AREA_REGULAR | (vma.shared ? VMA_FILE_SHARED : VMA_FILE_PRIVATE);
		default:
			return VMA_AREA_REGULAR | VMA_ANON_PRIVATE | (vmaName(vma) === "[heap]" ? VMA_AREA_HEAP : 0);
	}
}

function mapFlagsOf(vma: SmapsFacts, facts: FlagFacts, anonymous: boolean): number {
	let flags = vma.shared
		? (facts.mapFlags & ~(mman.MAP_PRIVATE | mman.MAP_DROPPABLE)) | mman.MAP_SHARED
		: facts.mapFlags;
	if (anonymous) flags |= mman.MAP_ANONYMOUS;
	if (facts.isHuge) flags |= mman.MAP_HUGETLB | (Math.log2(vma.kernelPageSizeKb * 1024) << mman.MAP_HUGE_SHIFT);
	return flags;
}

/** The entry of one VMA. */
export function encodeVma(vma: SmapsFacts, what: VmaClass, backing: Backing | undefined): vma_entry {
	const isFile = what === "file" || what === "packet-ring";
	const facts = factsOf(vma.vmFlags);
	const entry = create(vma_entrySchema, {
		start: vma.start,
		end: vma.end,
		pgoff: what === "anonymous" || what === "vdso" || what === "vvar" || what === "vsyscall" ? 0n : vma.pgoff,
		shmid: backing?.shmid ?? 0n,
		prot: vma.prot,
		flags: mapFlagsOf(vma, facts, !isFile && what !== "shared-memory" && what !== "aio"),
		status: statusOf(what, vma),
		fd: -1n,
	});
	if (facts.advice !== 0n) entry.madv = facts.advice;
	if (backing?.fdflags !== undefined) entry.fdflags = backing.fdflags;
	if (facts.lockOnFault) entry.lockOnFault = true;
	return entry;
}

/** Entries of guard regions; they follow all real VMAs. */
export function encodeGuards(guards: Ranges): vma_entry[] {
	return guards.map((guard) =>
		create(vma_entrySchema, {
			start: guard.start,
			end: guard.end,
			pgoff: 0n,
			shmid: 0n,
			prot: 0,
			flags: 0,
			status: VMA_AREA_GUARD,
			fd: -1n,
		}),
	);
}

/** True for VMAs whose pages are dumped into the task's own pagemap. */
export function isPrivate(entry: vma_entry): boolean {
	if ((entry.status & VMA_AREA_AIORING) !== 0) return true;
	return (
		(entry.status & VMA_AREA_REGULAR) !== 0 &&
		(entry.status & (VMA_ANON_PRIVATE | VMA_FILE_PRIVATE)) !== 0 &&
		entry.end <= TASK_SIZE
	);
}

/** True for memory whose pages can be brought on demand. */
export function canBeLazy({ status, flags }: vma_entry): boolean {
	const isOwn = (status & (VMA_AREA_VDSO | VMA_AREA_VVAR | VMA_AREA_VSYSCALL)) === 0;
	const unfit = mman.MAP_LOCKED | mman.MAP_HUGETLB | mman.MAP_DROPPABLE | mman.MAP_SHARED;
	return isOwn && (flags & unfit) === 0 && (flags & mman.MAP_ANONYMOUS) !== 0;
}

/** The stretches whose pages go into the pagemap. `stackPointers`: pages that a lazy restore must have at once. */
export function listPrivateRanges(entries: readonly vma_entry[], stackPointers: readonly bigint[]): PrivateRange[] {
	const ranges: PrivateRange[] = [];
	const add = (start: bigint, end: bigint, lazy: boolean, whole: boolean) => {
		const last = ranges[ranges.length - 1];
		if (last !== undefined && last.end === start && last.lazy === lazy && last.whole === whole) last.end = end;
		else ranges.push({ start, end, lazy, whole });
	};
	const stackPages = stackPointers.map((sp) => sp & ~4095n).sort((a, b) => (a < b ? -1 : 1));
	for (const entry of entries) {
		if (!isPrivate(entry) || (entry.status & VMA_AREA_VVAR) !== 0) continue;
		if ((entry.flags & mman.MAP_DROPPABLE) !== 0) continue;
		const isVdso = (entry.status & VMA_AREA_VDSO) !== 0;
		const lazy = canBeLazy(entry);
		if (!lazy) {
			const isRing = (entry.status & VMA_AREA_AIORING) !== 0;
			add(entry.start, entry.end, lazy, isVdso || isRing);
			continue;
		}
		let at = entry.start;
		for (const page of stackPages) {
			if (page < at || page >= entry.end) continue;
			if (page > at) add(at, page, lazy, false);
			add(page, page + 4096n, false, false);
			at = page + 4096n;
		}
		if (at < entry.end) add(at, entry.end, lazy, false);
	}
	return ranges;
}
