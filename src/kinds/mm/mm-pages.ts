// SPDX-License-Identifier: GPL-2.0-only
// The pages of a task's private mappings, restore half: where they lie in the images, and what reads them into place.
// Images: pagemap-PID.img, pages-N.img.

import type { LoadWay, Program } from "../../agent/program.ts";
import { ImageError } from "../../errors.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import { KINDS } from "../../images/index.ts";
import { type PageChain, readChain } from "../../pages/chain.ts";
import { earlier, type PageRun } from "../../pages/pagemap.ts";
import { readAt } from "../../sys/file.ts";
import type { RestoreContext, TaskImage } from "../kind.ts";
import { isCompatTask } from "../task/registers.ia32.ts";
import type { PageFiles } from "./page-files.ts";
import { chooseVdso, findImageVdso, readHostVdso, readHostVdso32, type Vdso, type VdsoChoice } from "./vdso.x86_64.ts";
import * as v from "./vma.ts";

/** Mappings that are the kernel's own. */
export const SPECIAL = v.VMA_AREA_VDSO | v.VMA_AREA_VVAR | v.VMA_AREA_VSYSCALL;

/** No kernel's is larger. */
const VDSO_MAX = 1n << 20n;

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** The error for an image of memory that no dump can have written. */
export function corruptMemory(file: string, message: string): ImageError {
	return new ImageError("IMAGE_CORRUPT", `${file}: ${message}`, {
		file,
		remedy: "dump again; the images were damaged",
	});
}

/** Runs of pages by address, to know which VMAs get content. */
export class PageIndex {
	private at = 0;

	constructor(private readonly runs: readonly PageRun[]) {}

	/** True when the range, asked for in ascending order, holds pages of the image. */
	touches(start: bigint, end: bigint): boolean {
		while (this.at < this.runs.length && this.endOf(this.at) <= start) this.at++;
		const run = this.runs[this.at];
		return run !== undefined && run.address < end;
	}

	private endOf(index: number): bigint {
		const run = this.runs[index];
		return run === undefined ? 0n : run.address + run.bytes;
	}
}

const READ_OPTIONS = {
	remedies: {
		ENOMEM: "free memory",
		EFAULT: "free memory or huge pages (vm.nr_hugepages)",
		EIO: "free memory or huge pages (vm.nr_hugepages), and look whether the images can be read",
	},
};

/** Reads the runs that lie in private mappings; the vdso's own pages come from this kernel. `way`: see Program.load. */
export function planPageReads(
	file: string,
	program: Program,
	runs: readonly PageRun[],
	mappings: readonly vma_entry[],
	pages: PageFiles,
	kept: Pick<ReadonlySet<vma_entry>, "has">,
	way: LoadWay | undefined,
): void {
	let at = 0;
	for (const run of runs) {
		let address = run.address;
		const end = run.address + run.bytes;
		while (address < end) {
			while (at < mappings.length && (mappings[at]?.end ?? 0n) <= address) at++;
			let vma = mappings[at];
			if (vma === undefined || vma.start > address || !v.isPrivate(vma))
				throw corruptMemory(file, `page ${hex(address)} lies outside of the private mappings`);
			const first = address;
			const isSkipped = (one: vma_entry) => (one.status & (SPECIAL | v.VMA_AREA_AIORING)) !== 0 || kept.has(one);
			const isSpecial = isSkipped(vma);
			// One read may span neighbouring mappings.
			let next = at;
			do {
				address = earlier(vma.end, end);
				next++;
				vma = mappings[next];
			} while (
				!isSpecial &&
				vma !== undefined &&
				address < end &&
				vma.start === address &&
				v.isPrivate(vma) &&
				!isSkipped(vma)
			);
			if (isSpecial) continue;
			const offset = run.offset + (first - run.address);
			pages.planReads(program, run, offset, address - first, (done, length, from) =>
				program.load(
					() => `read pages ${hex(first + done)}-${hex(first + done + length)}`,
					[pages.get(run), first + done, length, from],
					READ_OPTIONS,
					way,
				),
			);
		}
	}
}

/** Bytes of the image; undefined when pages are missing. @throws KernelError */
export function readImagePages(pages: PageFiles, runs: readonly PageRun[], start: bigint, length: bigint) {
	if (pages.isLate) return pages.findEarly(start, length);
	const bytes = new Uint8Array(Number(length));
	let at = start;
	for (const run of runs) {
		if (run.address > at || run.address + run.bytes <= at) continue;
		const end = earlier(run.address + run.bytes, start + length);
		bytes.set(readAt(pages.get(run), Number(end - at), run.offset + (at - run.address)), Number(at - start));
		at = end;
		if (at === start + length) return bytes;
	}
	return undefined;
}

/** Which pages the images hold of a task, but for those that are brought later. @throws ImageError */
export function readRuns(pid: number, context: RestoreContext): PageChain {
	return context.once(`runs:${pid}`, () => {
		const chain = readChain(context.dir, KINDS.PAGEMAP, pid, context.options.lazyPages);
		if (chain !== undefined) return chain;
		const file = `pagemap-${pid}.img`;
		throw new ImageError("IMAGE_MISSING", `image ${file} is missing`, {
			file,
			remedy: "dump again; the images are incomplete",
		});
	});
}

/** A task's vdso as the images have it, and what becomes of it here. */
export interface PlannedVdso {
	readonly image: Vdso;
	readonly host: Vdso;
	readonly choice: VdsoChoice;
}

/**
 * Compares a task's vdso with this kernel's; undefined when it had none. `pages`: the pages files.
 *
 * @throws ImageError, UnsupportedError FOREIGN_VDSO
 */
export function compareVdso(
	file: string,
	task: TaskImage,
	runs: readonly PageRun[],
	mappings: readonly vma_entry[],
	pages: PageFiles,
	context: RestoreContext,
): PlannedVdso | undefined {
	const layout = findImageVdso(mappings);
	if (layout === undefined) return undefined;
	if (layout.vdsoLength > VDSO_MAX) throw corruptMemory(file, `a vdso of ${layout.vdsoLength} bytes`);
	const bytes = readImagePages(pages, runs, layout.vdsoStart, layout.vdsoLength);
	if (bytes === undefined) throw corruptMemory(file, "the pages of the vdso are missing");
	const is32 = isCompatTask(task);
	const host = is32 ? context.once("host:vdso32", readHostVdso32) : context.once("host:vdso", readHostVdso);
	const choice = chooseVdso(task, { layout, bytes }, host);
	return host === undefined ? undefined : { image: { layout, bytes }, host, choice };
}
