// SPDX-License-Identifier: GPL-2.0-only
// Pages of a dump with --zstd: compressed as they are copied, a frame at a time, so that little more memory is needed than for one.

import { readSync } from "node:fs";
import { pagemap_headSchema } from "../images/gen/mm_pb.ts";
import { create, type ImageDir, KINDS } from "../images/index.ts";
import { closeFd, readAt } from "../sys/file.ts";
import { pump } from "../sys/host.ts";
import { PUMP_LIVE } from "../sys/host-layout.ts";
import { makeMemoryFile } from "../sys/stream-io.ts";
import { FRAME, FrameWriter, PAGES_ZSTD } from "./compressed.ts";
import { earlier } from "./pagemap.ts";
import { countBytes, type PageSink, type SegmentPages, segmentEntries, type TaskPages } from "./sink.ts";

/** Divides pieces, as the pump takes them, into such of no more than a frame together. Pure. */
export function* divideIntoFrames(pieces: BigUint64Array): Generator<BigUint64Array> {
	const limit = BigInt(FRAME);
	let frame: bigint[] = [];
	let room = limit;
	for (let i = 0; i < pieces.length; i += 2) {
		let [address, left] = [pieces[i] ?? 0n, pieces[i + 1] ?? 0n];
		while (left > 0n) {
			const part = earlier(left, room);
			frame.push(address, part);
			address += part;
			left -= part;
			room -= part;
			if (room > 0n) continue;
			yield BigUint64Array.from(frame);
			frame = [];
			room = limit;
		}
	}
	if (frame.length > 0) yield BigUint64Array.from(frame);
}

export class ZstdSink implements PageSink {
	private nextId = 1;
	private readonly buffer = makeMemoryFile("criu: pages");
	private readonly room = new Uint8Array(FRAME);

	constructor(private readonly dir: ImageDir) {}

	/** Nothing is built on others. */
	hasParent(): boolean {
		return false;
	}

	/** Writes a pages file. */
	private write(fill: (frames: FrameWriter) => void): number {
		const pagesId = this.nextId++;
		// An older dump's would be taken for it.
		this.dir.remove(KINDS.PAGES, pagesId);
		using pages = this.dir.writer(PAGES_ZSTD, pagesId);
		const frames = new FrameWriter(pages);
		fill(frames);
		frames.finish();
		pages.close();
		return pagesId;
	}

	writeTask({ pid, vpid, memFd, pieces, live, entries }: TaskPages): void {
		const flags = live ? PUMP_LIVE : 0;
		const pagesId = this.write((frames) => {
			for (const frame of divideIntoFrames(pieces)) {
				pump({ pid, memFd, outFd: this.buffer, offset: 0n, pieces: frame, threads: 1, flags });
				const bytes = Number(countBytes(frame));
				readSync(this.buffer, this.room, 0, bytes, 0);
				frames.put(this.room.subarray(0, bytes));
			}
		});
		using pagemap = this.dir.writer(KINDS.PAGEMAP, vpid);
		pagemap.writeHead(create(pagemap_headSchema, { pagesId }));
		for (const entry of entries) pagemap.write(entry);
		pagemap.close();
	}

	writeSegment(segment: SegmentPages): void {
		const pagesId = this.write((frames) => {
			for (const { start, end } of segment.ranges)
				for (let at = start; at < end; at += BigInt(FRAME)) {
					const length = Number(earlier(end - at, BigInt(FRAME)));
					// The file may end inside of its last page, images hold whole ones.
					const bytes = new Uint8Array(length);
					bytes.set(readAt(segment.fd, length, at));
					frames.put(bytes);
				}
		});
		using pagemap = this.dir.writer(KINDS.SHMEM_PAGEMAP, segment.shmid);
		pagemap.writeHead(create(pagemap_headSchema, { pagesId }));
		for (const entry of segmentEntries(segment)) pagemap.write(entry);
		pagemap.close();
	}

	finish(): void {}

	settle(): void {}

	[Symbol.dispose](): void {
		closeFd(this.buffer);
	}
}
