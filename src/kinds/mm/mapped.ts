// SPDX-License-Identifier: GPL-2.0-only
// Memory that is mapped from the images, copy-on-write (--map-pages), instead of being read from them: which, and how a later dump
// takes it for the anonymous memory that it stands for. Source: mmap(2), mlock2(2), madvise(2).

import type { Program } from "../../agent/program.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import * as mman from "../../kernel/abi/mman.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { mapFilePath } from "../../kernel/procfs/links.ts";
import type { SmapsFacts } from "../../kernel/procfs/smaps.ts";
import { log } from "../../log.ts";
import { listFiles, openChainFile, type PageChain } from "../../pages/chain.ts";
import { findMappedFile, type MappedFile, whyNotMappable } from "../../pages/mappable.ts";
import { earlier, type PageRun } from "../../pages/pagemap.ts";
import { appendRange, type Ranges } from "../../pages/ranges.ts";
import { scopedFd } from "../../sys/file.ts";
import type { MappedMemory, RestoreContext, TaskImage } from "../kind.ts";
import { memoryOwner } from "../task/sharing.ts";
import { runsWithin } from "./inherit.ts";
import { readRuns } from "./mm-pages.ts";
import type { PageFiles } from "./page-files.ts";
import * as v from "./vma.ts";

const PAGE = 4096n;
/** What is shorter is read sooner than mapped, touched and counted as a mapping of its own. */
const WORTH = 16n * PAGE;
/** Mappings that a task gets for it; each may cut another one in two. vm.max_map_count is 65530 by default. */
const MAX_PIECES = 8192;
const ROOM = 60_000;
/** Advice that has no effect on mapped files, or is refused for them. */
const UNFIT_ADVICE = [mman.MADV_HUGEPAGE, mman.MADV_MERGEABLE, mman.MADV_WIPEONFORK].reduce(
	(bits, advice) => bits | (1n << BigInt(advice)),
	0n,
);
const UNFIT_FLAGS = mman.MAP_GROWSDOWN | mman.MAP_LOCKED | mman.MAP_HUGETLB | mman.MAP_DROPPABLE | mman.MAP_SHARED;
const UNFIT_STATUS =
	v.VMA_AREA_HEAP | v.VMA_AREA_VDSO | v.VMA_AREA_VVAR | v.VMA_AREA_VSYSCALL | v.VMA_AREA_AIORING | v.VMA_AREA_GUARD;

/** Plain private memory. The heap and the stack keep their names, by which programs know them; what is locked is there at once. */
function canBeMapped(vma: vma_entry, { mm }: TaskImage): boolean {
	if ((vma.status & v.VMA_ANON_PRIVATE) === 0 || (vma.status & UNFIT_STATUS) !== 0) return false;
	if ((vma.flags & UNFIT_FLAGS) !== 0 || (vma.madv & UNFIT_ADVICE) !== 0n) return false;
	const touches = (start: bigint, end: bigint) => vma.start < end && vma.end > start;
	return !touches(mm.mmStartBrk, mm.mmBrk) && !touches(mm.mmStartStack, mm.mmStartStack + 1n);
}

/**
 * The parts of runs that are worth being mapped, at most `limit`, by address. The last page of a mapping is never among them: so
 * mremap(2) of a whole mapping fails, where it would otherwise let it grow by what follows in the file. Pure.
 */
export function choosePieces(vmas: readonly vma_entry[], runs: readonly PageRun[], limit: number): PageRun[] {
	const pieces: PageRun[] = [];
	for (const { start, end } of vmas)
		for (const run of runsWithin(runs, { start, end: end - PAGE })) if (run.bytes >= WORTH) pieces.push(run);
	if (pieces.length <= limit) return pieces;
	const largest = [...pieces].sort((a, b) => (a.bytes > b.bytes ? -1 : a.bytes < b.bytes ? 1 : 0)).slice(0, limit);
	return largest.sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** The levels of images whose pages files can be mapped. */
function findMappableLevels(chain: PageChain, context: RestoreContext): ReadonlySet<number> {
	const levels = new Set<number>();
	for (const file of listFiles(chain)) {
		const reason = context.once(`mappable:${file.level}:${file.name}`, () => {
			using own = scopedFd(openChainFile(context.dir, file, chain.file));
			if (context.dir.hasMade(file.name)) return `${file.name} is compressed`;
			return whyNotMappable(own.fd, file.name, context.options.dryRun);
		});
		if (reason === undefined) levels.add(file.level);
		else context.once(`unmappable:${reason}`, () => log.warn(`--map-pages: memory is copied instead: ${reason}`));
	}
	return levels;
}

/** What of a task's memory is mapped from the images, by address. @throws ImageError UNSAFE_IMAGES */
export function findPieces(image: TaskImage, context: RestoreContext): readonly PageRun[] {
	if (!context.options.mapPages) return [];
	const owner = memoryOwner(image, context);
	return context.once(`mapped-pieces:${owner}`, () => {
		const chain = readRuns(owner, context);
		const { vmas } = image.mm;
		const room = Math.max(0, Math.floor((ROOM - vmas.length) / 2));
		const fit = vmas.filter((vma) => canBeMapped(vma, image));
		const pieces = choosePieces(fit, chain.runs, Math.min(MAX_PIECES, room));
		if (pieces.length === 0) return [];
		const levels = findMappableLevels(chain, context);
		const mapped = pieces.filter(({ level }) => levels.has(level));
		const kib = mapped.reduce((sum, { bytes }) => sum + bytes / 1024n, 0n);
		log.info(`pid ${owner}: ${kib} KiB in ${mapped.length} pieces are mapped from the images`);
		return mapped;
	});
}

/** Mappings that hold such memory: a child doesn't keep them as they are its maker's. */
export function withPieces(image: TaskImage | undefined, context: RestoreContext): ReadonlySet<vma_entry> {
	if (image === undefined) return new Set();
	const pieces = findPieces(image, context);
	if (pieces.length === 0) return new Set();
	return new Set(image.mm.vmas.filter((vma) => !runsWithin(pieces, vma).next().done));
}

/**
 * Adds what maps pieces over the anonymous memory that is there already. They are locked, as soon as they're touched: the kernel
 * refuses MADV_DONTNEED of locked memory, after which the pages of the file would show again, where the program expects zeros.
 */
export function planPieces(
	program: Program,
	mappings: readonly vma_entry[],
	pieces: readonly PageRun[],
	pages: PageFiles,
): void {
	let at = 0;
	for (const piece of pieces) {
		while (at < mappings.length && (mappings[at]?.end ?? 0n) <= piece.address) at++;
		const vma = mappings[at];
		if (vma === undefined) return;
		const flags = mman.MAP_PRIVATE | mman.MAP_FIXED | (vma.flags & mman.MAP_NORESERVE);
		const what = `0x${piece.address.toString(16)}-0x${(piece.address + piece.bytes).toString(16)}`;
		program.syscall(
			`map ${what} from the images`,
			nr.SYS_mmap,
			[piece.address, piece.bytes, vma.prot, flags, pages.get(piece), piece.offset],
			{
				check: { equal: piece.address },
				remedies: {
					ENODEV: "the file system of the images doesn't support memory mappings: leave out --map-pages",
					ENOMEM: "raise vm.max_map_count or vm.overcommit_memory, or leave out --map-pages",
				},
			},
		);
		program.syscall(`lock ${what} once it's touched`, nr.SYS_mlock2, [piece.address, piece.bytes, mman.MLOCK_ONFAULT], {
			remedies: {
				EPERM: "run as root (CAP_IPC_LOCK), or leave out --map-pages",
				ENOMEM: "raise the limit of locked memory",
			},
		});
	}
}

// ---- dump ----------------------------------------------------------------------------------------------------------

const NOTHING: MappedMemory = { ranges: [], changed: [] };
const NO_NAME = new Uint8Array(0);
const decoder = new TextDecoder("latin1");
const NAME = /\/pages-\d+\.img(?: \(deleted\))?$/;

/** What such a mapping would be if it weren't: private memory without a name, not locked. */
function asAnonymous(vma: SmapsFacts, vmFlags: ReadonlySet<string>): SmapsFacts {
	return { ...vma, vmFlags, name: NO_NAME, ino: 0n, devMajor: 0, devMinor: 0, pgoff: 0n, lockedKb: 0 };
}

const SIZES = [
	"rssKb",
	"anonymousKb",
	"swapKb",
	"lockedKb",
	"sharedCleanKb",
	"sharedDirtyKb",
	"anonHugePagesKb",
	"privateHugetlbKb",
	"sharedHugetlbKb",
] as const;

/** True for two mappings that the kernel would have made one. */
function areOne(a: SmapsFacts, b: SmapsFacts): boolean {
	const isAnonymous = ({ ino, name, shared }: SmapsFacts) => ino === 0n && name.length === 0 && !shared;
	if (a.end !== b.start || a.prot !== b.prot || !isAnonymous(a) || !isAnonymous(b)) return false;
	if (a.protectionKey !== b.protectionKey || a.vmFlags.size !== b.vmFlags.size) return false;
	return a.vmFlags === b.vmFlags || [...a.vmFlags].every((flag) => b.vmFlags.has(flag));
}

function join(a: SmapsFacts, b: SmapsFacts): SmapsFacts {
	const joined = { ...a, end: b.end };
	for (const size of SIZES) joined[size] += b[size];
	return joined;
}

/** Finds the mappings of pages files that restores have made. Files are looked at once. */
class MappedFinder {
	private readonly names = new Map<Uint8Array, boolean>();
	private readonly files = new Map<string, MappedFile | undefined>();
	private readonly flags = new Map<ReadonlySet<string>, ReadonlySet<string>>();

	constructor(private readonly pid: number) {}

	find(vma: SmapsFacts): MappedFile | undefined {
		if (vma.name.length === 0 || vma.shared || vma.ino === 0n || !this.isPages(vma.name)) return undefined;
		const key = `${vma.devMajor}:${vma.devMinor}:${vma.ino}`;
		if (!this.files.has(key)) this.files.set(key, findMappedFile(mapFilePath(this.pid, vma.start, vma.end)));
		return this.files.get(key);
	}

	/** Equal neighbours share one array. */
	private isPages(name: Uint8Array): boolean {
		const known = this.names.get(name);
		if (known !== undefined) return known;
		const is = NAME.test(decoder.decode(name));
		this.names.set(name, is);
		return is;
	}

	unlocked(vmFlags: ReadonlySet<string>): ReadonlySet<string> {
		let found = this.flags.get(vmFlags);
		if (found === undefined) {
			const rest = new Set(vmFlags);
			rest.delete("lo");
			rest.delete("lf");
			found = rest;
			this.flags.set(vmFlags, found);
		}
		return found;
	}
}

/**
 * The mappings of a stopped task with those that --map-pages has made as the anonymous memory that they stand for, and where these
 * are: all of their pages have content, also those that were never touched. What mremap(2) has made longer than the file has none
 * behind its end.
 *
 * @throws KernelError
 */
export function foldMapped(pid: number, vmas: SmapsFacts[]): { vmas: SmapsFacts[]; mapped: MappedMemory } {
	const finder = new MappedFinder(pid);
	const ranges: Ranges = [];
	const changed: Ranges = [];
	const folded: SmapsFacts[] = [];
	let wasMapped = false;
	for (const vma of vmas) {
		const file = finder.find(vma);
		const last = folded[folded.length - 1];
		const isMapped = file !== undefined;
		let own = vma;
		if (isMapped) {
			const { start, pgoff } = vma;
			const behind = start + ((file.size + PAGE - 1n) & ~(PAGE - 1n)) - pgoff;
			if (file.changed) appendRange(changed, start, vma.end);
			if (behind > start) appendRange(ranges, start, earlier(behind, vma.end));
			own = asAnonymous(vma, finder.unlocked(vma.vmFlags));
		}
		if (last !== undefined && (isMapped || wasMapped) && areOne(last, own)) folded[folded.length - 1] = join(last, own);
		else folded.push(own);
		wasMapped = isMapped;
	}
	return ranges.length === 0 && changed.length === 0
		? { vmas, mapped: NOTHING }
		: { vmas: folded, mapped: { ranges, changed } };
}
