// SPDX-License-Identifier: GPL-2.0-only
// Where the pages of a dump go: into images here, or to a page server (page-client.ts).

import type { pagemap_entry } from "../images/gen/mm_pb.ts";
import { pagemap_entrySchema, pagemap_headSchema } from "../images/gen/mm_pb.ts";
import { create, type ImageDir, imageFileName, KINDS } from "../images/index.ts";
import { openAt, scopedFd, writeAll } from "../sys/file.ts";
import { pump } from "../sys/host.ts";
import { PUMP_LIVE } from "../sys/host-layout.ts";
import { copyFileRange } from "./copy.ts";
import { earlier, nrPagesFields, PE_PRESENT } from "./pagemap.ts";
import { lengthOf, type Ranges } from "./ranges.ts";

const PAGE = 4096n;
export const PUMP_THREADS = 2;

/** The private pages of a task, as planPagemap gives them. */
export interface TaskPages {
	readonly pid: number;
	/** Its number in the images. */
	readonly vpid: number;
	/** `/proc/PID/mem`, opened while it stood still. */
	readonly memFd: number;
	readonly entries: readonly pagemap_entry[];
	readonly pieces: BigUint64Array;
	/** It runs meanwhile. */
	readonly live: boolean;
	/** What has to be known before all pages, where that's wanted. */
	readonly early?: Ranges;
}

/** Bytes of pieces as the page pump takes them: addresses and lengths in turn. */
export function countBytes(pieces: ArrayLike<bigint>): bigint {
	let bytes = 0n;
	for (let at = 1; at < pieces.length; at += 2) bytes += pieces[at] ?? 0n;
	return bytes;
}

/** The pages of shared memory. */
export interface SegmentPages {
	readonly shmid: number;
	readonly fd: number;
	/** In bytes. */
	readonly size: bigint;
	/** Where it holds data: whole pages. */
	readonly ranges: Ranges;
}

export interface PageSink {
	/** Pages come so late that some have to be sent ahead. */
	readonly wantsEarly?: boolean;
	/** True when the images that these build on have pages of a task. */
	hasParent(vpid: number): boolean;
	writeTask(pages: TaskPages): void;
	writeSegment(pages: SegmentPages): void;
	/** All is where it belongs. @throws CriuError when it isn't */
	finish(): void;
	/** The dump is whole: until now the other side may have to do without it, and keeps what is older. */
	settle(): void;
	/** Gives up, or forgets a finished one. */
	[Symbol.dispose](): void;
}

/** Entries of shared memory. */
export function segmentEntries({ ranges }: SegmentPages): pagemap_entry[] {
	return ranges.map(({ start, end }) =>
		create(pagemap_entrySchema, { vaddr: start, ...nrPagesFields((end - start) / PAGE), flags: PE_PRESENT }),
	);
}

/** Sends the data of a range of shared memory; the file may end inside of its last page, images hold whole ones. */
export function copySegmentRange(pages: SegmentPages, start: bigint, end: bigint, to: number): void {
	const last = earlier(end, pages.size);
	copyFileRange(pages.fd, start, to, last - start);
	if (last < end) writeAll(to, new Uint8Array(Number(end - last)));
}

function copyPages({ pid, memFd, pieces, live }: TaskPages, outFd: number, offset: number): void {
	const flags = live ? PUMP_LIVE : 0;
	pump({ pid, memFd, outFd, offset: BigInt(offset), pieces, threads: PUMP_THREADS, flags });
}

/** Images in a directory. */
export class LocalSink implements PageSink {
	private nextId = 1;
	/** Copies the pages of a task into a pages file, from an offset on. */
	copy = copyPages;
	/** Makes what is to be the pages file of a task one of these images, under that name, and its pages complete; false when there's none. */
	adopt: (task: TaskPages, file: string) => boolean = () => false;

	constructor(
		private readonly dir: ImageDir,
		/** The directory that these images build on. */
		private readonly parent: ImageDir | undefined,
	) {}

	hasParent(vpid: number): boolean {
		return this.parent?.exists(KINDS.PAGEMAP, vpid) ?? false;
	}

	writeTask(task: TaskPages): void {
		const { vpid, entries } = task;
		const pagesId = this.nextId++;
		if (!this.adopt(task, imageFileName(KINDS.PAGES, pagesId))) {
			using pages = this.dir.writer(KINDS.PAGES, pagesId);
			const { fd, offset } = pages.openStream(Number(countBytes(task.pieces)));
			this.copy(task, fd, offset);
			pages.close();
		}
		using pagemap = this.dir.writer(KINDS.PAGEMAP, vpid);
		pagemap.writeHead(create(pagemap_headSchema, { pagesId }));
		for (const entry of entries) pagemap.write(entry);
		pagemap.close();
	}

	writeSegment(segment: SegmentPages): void {
		const pagesId = this.nextId++;
		using pagemap = this.dir.writer(KINDS.SHMEM_PAGEMAP, segment.shmid);
		pagemap.writeHead(create(pagemap_headSchema, { pagesId }));
		using pages = this.dir.writer(KINDS.PAGES, pagesId);
		const { fd } = pages.openStream(Number(lengthOf(segment.ranges)));
		for (const { start, end } of segment.ranges) copySegmentRange(segment, start, end, fd);
		for (const entry of segmentEntries(segment)) pagemap.write(entry);
		pages.close();
		pagemap.close();
	}

	finish(): void {}

	settle(): void {}

	[Symbol.dispose](): void {}
}

/** Opens a task's memory to be read later. The caller closes it. */
export function openMemory(pid: number): { fd: number; [Symbol.dispose](): void } {
	return scopedFd(openAt(`/proc/${pid}/mem`, 0));
}
