// SPDX-License-Identifier: GPL-2.0-only
// Where missing pages come from: the images of this machine, mapped, so that the kernel copies from their pages in its cache.

import { ImageError, KernelError } from "../../errors.ts";
import { type ImageDir, KINDS } from "../../images/index.ts";
import { SYS_mmap } from "../../kernel/abi/syscalls.x86_64.ts";
import { closeFd, statFd } from "../../sys/file.ts";
import { syscall } from "../../sys/host.ts";
import { listFiles, missingPages, openChainFile, readChain } from "../chain.ts";
import { earlier, type PageRun } from "../pagemap.ts";

const PROT_READ = 1;
const MAP_SHARED = 1;

/** Pages of a task of the images that have come. */
export interface Arrival {
	readonly pid: number;
	/** Where the task has had them. */
	readonly source: bigint;
	/** Where they lie in our memory, until the next call. */
	readonly address: bigint;
	readonly bytes: bigint;
}

export interface PageSource {
	/** Becomes readable when pages may have come; undefined: they are there as soon as they're asked for. */
	readonly fd: number | undefined;
	/** Bytes that were asked for and haven't come. */
	readonly inFlight: bigint;
	/** Asks for pages. */
	ask(pid: number, source: bigint, bytes: bigint): void;
	/** What has come; undefined when nothing has yet. @throws CriuError, ImageError */
	take(): Arrival | undefined;
	/** All pages are where they belong. @throws CriuError */
	finish(): void;
}

/** The pages of one task. */
interface TaskFiles {
	readonly runs: readonly PageRun[];
	/** Addresses of the mapped pages files, by level. */
	readonly files: ReadonlyMap<number, bigint>;
	readonly name: string;
}

/** Pages of images on this machine. */
export class LocalSource implements PageSource {
	readonly fd = undefined;
	readonly inFlight = 0n;
	private readonly tasks = new Map<number, TaskFiles>();
	private readonly asked: { pid: number; source: bigint; bytes: bigint }[] = [];

	constructor(private readonly dir: ImageDir) {}

	private open(pid: number): TaskFiles {
		const known = this.tasks.get(pid);
		if (known !== undefined) return known;
		const name = `pagemap-${pid}.img`;
		const chain = readChain(this.dir, KINDS.PAGEMAP, pid);
		if (chain === undefined)
			throw new ImageError("IMAGE_MISSING", `image ${name} is missing`, {
				file: name,
				remedy: "give lazy-pages the directory that restore gets (--images-dir)",
			});
		const files = new Map<number, bigint>();
		for (const file of listFiles(chain)) {
			const fd = openChainFile(this.dir, file, chain.file);
			try {
				if (statFd(fd).size < file.bytes) throw missingPages(file, chain.file);
				const address = syscall(SYS_mmap, 0, file.bytes, PROT_READ, MAP_SHARED, fd, 0);
				if (address < 0) throw new KernelError("mmap", -address, `of ${file.name}`);
				files.set(file.level, BigInt(address));
			} finally {
				closeFd(fd);
			}
		}
		const opened = { runs: chain.runs, files, name: chain.file };
		this.tasks.set(pid, opened);
		return opened;
	}

	ask(pid: number, source: bigint, bytes: bigint): void {
		this.asked.push({ pid, source, bytes });
	}

	take(): Arrival | undefined {
		const next = this.asked[0];
		if (next === undefined) return undefined;
		const { pid, source, bytes } = next;
		const { runs, files, name } = this.open(pid);
		let low = 0;
		let high = runs.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			const { address, bytes: length } = runs[middle] as PageRun;
			if (address + length <= source) low = middle + 1;
			else high = middle;
		}
		const run = runs[low];
		const file = run === undefined ? undefined : files.get(run.level);
		if (run === undefined || file === undefined || run.address > source)
			throw new ImageError("IMAGE_INCOMPLETE", `${name}: page 0x${source.toString(16)} is in no image`, {
				file: name,
				remedy: "images of dump --lazy-pages don't hold it: get it from the dump (--page-server --address --port)",
			});
		const end = earlier(source + bytes, run.address + run.bytes);
		next.source = end;
		next.bytes -= end - source;
		if (next.bytes === 0n) this.asked.shift();
		return { pid, source, address: file + run.offset + (source - run.address), bytes: end - source };
	}

	finish(): void {}
}
