// SPDX-License-Identifier: GPL-2.0-only
// Pages of a dump whose images are streamed: pagemaps tell before the pages come, and nothing is written twice or elsewhere.

import { pagemap_headSchema } from "../images/gen/mm_pb.ts";
import { create, type ImageDir, KINDS } from "../images/index.ts";
import { readAt } from "../sys/file.ts";
import { pump } from "../sys/host.ts";
import { PUMP_LIVE, PUMP_PIPE } from "../sys/host-layout.ts";
import { copyToStream, writeStream } from "../sys/stream-io.ts";
import { EARLY_PAGES, encodeEarly } from "./early-pages.ts";
import { earlier } from "./pagemap.ts";
import { lengthOf } from "./ranges.ts";
import { countBytes, type PageSink, type SegmentPages, segmentEntries, type TaskPages } from "./sink.ts";

export class StreamSink implements PageSink {
	readonly wantsEarly = true;
	private nextId = 1;

	constructor(protected readonly dir: ImageDir) {}

	/** Streamed images build on none. */
	hasParent(): boolean {
		return false;
	}

	writeTask(task: TaskPages): void {
		const pagesId = this.nextId++;
		using pagemap = this.dir.writer(KINDS.PAGEMAP, task.vpid);
		pagemap.writeHead(create(pagemap_headSchema, { pagesId }));
		for (const entry of task.entries) pagemap.write(entry);
		pagemap.close();
		this.writeEarly(task);
		this.copyTask(task, pagesId);
	}

	/** What a restore has to see before the pages come to the program themselves. */
	private writeEarly({ vpid, memFd, early = [] }: TaskPages): void {
		if (early.length === 0) return;
		using writer = this.dir.writer(EARLY_PAGES, vpid);
		for (const { start, end } of early)
			writer.writePayload(encodeEarly(start, readAt(memFd, Number(end - start), start)));
		writer.close();
	}

	protected copyTask({ pid, memFd, pieces, live }: TaskPages, pagesId: number): void {
		using pages = this.dir.writer(KINDS.PAGES, pagesId);
		const bytes = Number(countBytes(pieces));
		const { fd } = pages.openStream(bytes);
		const flags = PUMP_PIPE | (live ? PUMP_LIVE : 0);
		pump({ pid, memFd, outFd: fd, offset: 0n, pieces, threads: 1, flags });
		pages.skip(bytes);
		pages.close();
	}

	writeSegment(segment: SegmentPages): void {
		const pagesId = this.nextId++;
		using pagemap = this.dir.writer(KINDS.SHMEM_PAGEMAP, segment.shmid);
		pagemap.writeHead(create(pagemap_headSchema, { pagesId }));
		for (const entry of segmentEntries(segment)) pagemap.write(entry);
		pagemap.close();
		this.copySegment(segment, pagesId);
	}

	protected copySegment({ fd: from, size, ranges }: SegmentPages, pagesId: number): void {
		using pages = this.dir.writer(KINDS.PAGES, pagesId);
		const bytes = Number(lengthOf(ranges));
		const { fd } = pages.openStream(bytes);
		for (const { start, end } of ranges) {
			const last = earlier(end, size);
			copyToStream(from, start, fd, last - start);
			// The file may end inside of its last page, images hold whole ones.
			if (last < end) writeStream(fd, new Uint8Array(Number(end - last)));
		}
		pages.skip(bytes);
		pages.close();
	}

	finish(): void {}

	settle(): void {}

	[Symbol.dispose](): void {}
}
