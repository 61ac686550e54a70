// SPDX-License-Identifier: GPL-2.0-only
// The address space of one process: its mappings, and how much of each is in the images.

import { type DumpFolder, pagesOf } from "../crit/dump-folder.ts";
import { textOfName } from "../crit/text-forms.ts";
import type { mm_entry, pagemap_entry, vma_entry } from "../images/gen/mm_pb.ts";
import { KINDS } from "../images/index.ts";
import { PROT_EXEC, PROT_READ, PROT_WRITE } from "../kernel/abi/mman.ts";
import {
	VMA_ANON_SHARED,
	VMA_AREA_AIORING,
	VMA_AREA_HEAP,
	VMA_AREA_MEMFD,
	VMA_AREA_SYSVIPC,
	VMA_AREA_VDSO,
	VMA_AREA_VSYSCALL,
	VMA_AREA_VVAR,
	VMA_FILE_PRIVATE,
	VMA_FILE_SHARED,
} from "../kinds/mm/vma.ts";
import { CompressedPages } from "../pages/compressed.ts";
import type { FileNames } from "./file-text.ts";
import type { Mapping, Process } from "./model.ts";

const PAGE_SIZE = 4096n;
const PE_PARENT = 1;
const PE_LAZY = 2;
const GROWSDOWN = 0x100;
const STACK = 0x2;
/** More than this of arguments isn't shown. */
const MAX_ARGUMENTS = 4096;

export type Where = "images" | "parent" | "lazy";

/** Where the pages of a pagemap entry are. Before there were flags, a field told of the parent. */
export function whereIs(entry: pagemap_entry): Where {
	if (entry.inParent || (entry.flags & PE_PARENT) !== 0) return "parent";
	return (entry.flags & PE_LAZY) !== 0 && (entry.flags & 4) === 0 ? "lazy" : "images";
}

function kindOf({ status, flags, prot }: vma_entry): Mapping["kind"] {
	if (status & (VMA_AREA_VDSO | VMA_AREA_VVAR | VMA_AREA_VSYSCALL)) return "kernel";
	if (prot === 0) return "reserved";
	if (status & STACK || flags & GROWSDOWN) return "stack";
	if (status & VMA_AREA_HEAP) return "heap";
	if (status & (VMA_ANON_SHARED | VMA_AREA_SYSVIPC | VMA_AREA_MEMFD | VMA_AREA_AIORING)) return "shared";
	if (status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED))
		return prot & PROT_EXEC ? "code" : prot & PROT_WRITE ? "data" : "file";
	return prot & PROT_EXEC ? "code" : "anonymous";
}

function nameOf(vma: vma_entry, names: FileNames): string {
	const { status } = vma;
	if (status & VMA_AREA_VDSO) return "[vdso]";
	if (status & VMA_AREA_VVAR) return "[vvar]";
	if (status & VMA_AREA_VSYSCALL) return "[vsyscall]";
	if (status & VMA_AREA_MEMFD) return "memfd";
	if (status & VMA_AREA_AIORING) return "ring of AIO";
	if (status & VMA_AREA_SYSVIPC) return `System V segment ${vma.shmid}`;
	if (status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED)) return names.path(Number(vma.shmid));
	if (status & VMA_ANON_SHARED) return `shared memory ${vma.shmid}`;
	if (status & VMA_AREA_HEAP) return "[heap]";
	return status & STACK || vma.flags & GROWSDOWN ? "[stack]" : "";
}

/** What is known of one address space. */
export interface AddressSpace {
	mappings: Mapping[];
	memory: Process["memory"];
	arguments: string[];
}

function toMapping(vma: vma_entry, names: FileNames): Mapping {
	const letter = (bit: number, name: string): string => (vma.prot & bit ? name : "-");
	const hasFile = (vma.status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED)) !== 0;
	return {
		start: `0x${vma.start.toString(16)}`,
		end: `0x${vma.end.toString(16)}`,
		bytes: Number(vma.end - vma.start),
		protection: letter(PROT_READ, "r") + letter(PROT_WRITE, "w") + letter(PROT_EXEC, "x"),
		shared: (vma.flags & 1) !== 0,
		kind: kindOf(vma),
		name: nameOf(vma, names),
		offset: hasFile ? Number(vma.pgoff) : 0,
		in_images: 0,
	};
}

class PageCounter {
	readonly memory = { mapped: 0, reserved: 0, in_images: 0, in_parent: 0, lazy: 0 };
	#at = 0;
	/** Pages of the pages file that came before. */
	#stored = 0n;
	/** Where the page of the arguments lies in the pages file, in bytes. */
	argumentsAt: bigint | undefined;

	constructor(
		private readonly vmas: readonly vma_entry[],
		private readonly mappings: readonly Mapping[],
		private readonly argStart: bigint,
	) {}

	add(entry: pagemap_entry): void {
		const pages = pagesOf(entry);
		const end = entry.vaddr + pages * PAGE_SIZE;
		const where = whereIs(entry);
		const bytes = Number(pages * PAGE_SIZE);
		if (where !== "images") {
			this.memory[where === "parent" ? "in_parent" : "lazy"] += bytes;
			return;
		}
		this.memory.in_images += bytes;
		if (this.argStart >= entry.vaddr && this.argStart < end) {
			this.argumentsAt = this.#stored * PAGE_SIZE + (this.argStart - entry.vaddr);
		}
		this.#stored += pages;
		this.#spread(entry.vaddr, end);
	}

	/** Adds a run of pages to the mappings that it lies in; both are sorted. */
	#spread(start: bigint, end: bigint): void {
		while (this.#at < this.vmas.length && (this.vmas[this.#at] as vma_entry).end <= start) this.#at++;
		for (let at = this.#at; at < this.vmas.length; at++) {
			const vma = this.vmas[at] as vma_entry;
			if (vma.start >= end) break;
			const from = vma.start > start ? vma.start : start;
			const to = vma.end < end ? vma.end : end;
			if (to > from) (this.mappings[at] as Mapping).in_images += Number(to - from);
		}
	}
}

/** The words of a command line as they lie in memory. */
export function splitArguments(bytes: Uint8Array): string[] {
	const end = bytes.lastIndexOf(0);
	const text = textOfName(end < 0 ? bytes : bytes.subarray(0, end));
	return text === "" ? [] : text.split("\0");
}

function readArguments(folder: DumpFolder, pid: number, mm: mm_entry, at: bigint): string[] {
	const { dir } = folder;
	using pagemap = dir.findReader(KINDS.PAGEMAP, pid);
	const pagesId = pagemap?.readHead().pagesId;
	if (pagesId === undefined) return [];
	using pages = dir.findReader(KINDS.PAGES, pagesId);
	using compressed = pages === undefined ? CompressedPages.open(dir, pagesId) : undefined;
	const length = Math.min(
		Number(mm.mmArgEnd - mm.mmArgStart),
		MAX_ARGUMENTS,
		Number(PAGE_SIZE - (mm.mmArgStart % PAGE_SIZE)),
	);
	if (compressed !== undefined && length > 0) return splitArguments(compressed.read(Number(at), length));
	if (pages === undefined || length <= 0 || at + BigInt(length) > BigInt(pages.size)) return [];
	pages.takePayload(Number(at));
	return splitArguments(pages.readPayload(length));
}

/** Reads the address space of a process. @throws ImageError */
export function readAddressSpace(folder: DumpFolder, pid: number, mm: mm_entry, names: FileNames): AddressSpace {
	const mappings = mm.vmas.map((vma) => toMapping(vma, names));
	const counter = new PageCounter(mm.vmas, mappings, mm.mmArgStart);
	for (const entry of folder.pagemap(pid)) counter.add(entry);
	const { memory } = counter;
	for (const { kind, bytes } of mappings) {
		if (kind === "reserved") memory.reserved += bytes;
		else memory.mapped += bytes;
	}
	const at = counter.argumentsAt;
	return { mappings, memory, arguments: at === undefined ? [] : readArguments(folder, pid, mm, at) };
}
