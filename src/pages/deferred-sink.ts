// SPDX-License-Identifier: GPL-2.0-only
// Pages of a dump whose images go into one stream: they come last, so that a restore knows what to do with them. Until then the
// memory stands still; what a restore has to know of it before is sent early.

import { type ImageDir, imageFileName, KINDS } from "../images/index.ts";
import { closeFd } from "../sys/file.ts";
import { duplicate } from "../sys/stream-io.ts";
import { lengthOf } from "./ranges.ts";
import { countBytes, type SegmentPages, type TaskPages } from "./sink.ts";
import { StreamSink } from "./stream-sink.ts";

/** A pages file that waits for its turn. */
interface Waiting {
	readonly name: string;
	/** In bytes. */
	readonly length: number;
	/** Ours, kept until then. */
	readonly fd: number;
	copy(): void;
}

export class DeferredSink extends StreamSink {
	private readonly waiting: Waiting[] = [];

	constructor(dir: ImageDir) {
		super(dir);
	}

	protected override copyTask(task: TaskPages, pagesId: number): void {
		const own = { ...task, memFd: duplicate(task.memFd) };
		this.wait(pagesId, Number(countBytes(task.pieces)), own.memFd, () => super.copyTask(own, pagesId));
	}

	protected override copySegment(segment: SegmentPages, pagesId: number): void {
		const own = { ...segment, fd: duplicate(segment.fd) };
		this.wait(pagesId, Number(lengthOf(segment.ranges)), own.fd, () => super.copySegment(own, pagesId));
	}

	private wait(pagesId: number, length: number, fd: number, copy: () => void): void {
		this.waiting.push({ name: imageFileName(KINDS.PAGES, pagesId), length, fd, copy });
	}

	/** All other images are written. */
	override finish(): void {
		this.dir.beginPages(this.waiting.map(({ name, length }) => ({ name, length })));
		for (const { copy } of this.waiting) copy();
	}

	override [Symbol.dispose](): void {
		for (const { fd } of this.waiting.splice(0)) closeFd(fd);
	}
}
