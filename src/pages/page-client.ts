// SPDX-License-Identifier: GPL-2.0-only
// A dump's side of the connection to a page server: pages go there, all else stays here.

import { CriuError, isErrno } from "../errors.ts";
import type { pagemap_entry } from "../images/gen/mm_pb.ts";
import { pagemap_headSchema } from "../images/gen/mm_pb.ts";
import { create, type ImageDir } from "../images/index.ts";
import { closeFd } from "../sys/file.ts";
import { addressOf, pump } from "../sys/host.ts";
import { PIECE_LOCAL, PIECE_SHARED, PUMP_LIVE, PUMP_STREAM } from "../sys/host-layout.ts";
import { PE_PARENT, PE_PRESENT, SENT_PAGEMAP } from "./pagemap.ts";
import { copySegmentRange, type PageSink, type SegmentPages, segmentEntries, type TaskPages } from "./sink.ts";
import * as wire from "./wire.ts";

const PAGE = 4096n;

function lost(error: unknown): unknown {
	return isErrno(error, "EPIPE", "ECONNRESET", "ETIMEDOUT", "EAGAIN") ? wire.cutConnection(error) : error;
}

export class PageClient implements PageSink {
	private size: wire.HeaderSize = wire.SHORT_HEADER;

	private constructor(
		/** The connection, ours. */
		private readonly fd: number,
		/** For what the server has been sent. */
		private readonly dir: ImageDir,
		private readonly shared: boolean,
	) {}

	/**
	 * Takes over a connection and finds out which headers the server has. `shared`: others may hold it, too.
	 *
	 * @throws CriuError PAGE_CONNECTION
	 */
	static start(fd: number, dir: ImageDir, shared: boolean): PageClient {
		const client = new PageClient(fd, dir, shared);
		try {
			client.size = wire.askSize(fd);
			return client;
		} catch (error) {
			closeFd(fd);
			throw error;
		}
	}

	private tell(message: Partial<wire.Message>): void {
		const bytes = new Uint8Array(this.size);
		wire.writeHeader(new DataView(bytes.buffer), 0, this.size, message);
		wire.send(this.fd, bytes);
	}

	hasParent(vpid: number): boolean {
		this.tell({ command: wire.PS_PARENT, target: wire.targetOf(wire.TYPE_TASK, vpid) });
		return wire.receiveAll(this.fd, 4).getInt32(0, true) !== 0;
	}

	private open(target: bigint): boolean {
		this.tell({ command: wire.PS_OPEN2, target });
		return wire.receiveAll(this.fd, 1).getUint8(0) !== 0;
	}

	writeTask({ pid, vpid, memFd, entries, pieces, live }: TaskPages): void {
		const target = wire.targetOf(wire.TYPE_TASK, vpid);
		const hasParent = this.open(target);
		if (!hasParent && entries.some(({ flags }) => (flags & PE_PARENT) !== 0))
			throw new CriuError("PAGE_PARENT", `the page server doesn't build on the images of before for pid ${vpid}`, {
				remedy: "give the server's directory a link `parent` to those images, or dump without --prev-images-dir",
			});
		const headers = new Uint8Array(entries.length * this.size);
		const list = this.interleave(entries, pieces, headers, target);
		const flags = PUMP_STREAM | (live ? PUMP_LIVE : 0);
		try {
			pump({ pid, memFd, outFd: this.fd, offset: 0n, pieces: list, threads: 1, flags });
		} catch (error) {
			throw lost(error);
		}
		if (headers.length > 0) this.note(vpid, entries);
	}

	/** Puts the header of each entry before its pages. */
	private interleave(
		entries: readonly pagemap_entry[],
		pieces: BigUint64Array,
		headers: Uint8Array,
		target: bigint,
	): BigUint64Array {
		const list: bigint[] = [];
		const view = new DataView(headers.buffer);
		const base = headers.length === 0 ? 0n : addressOf(headers);
		let piece = 0;
		for (const [i, { vaddr, nrPages, flags }] of entries.entries()) {
			const at = i * this.size;
			const message = { command: wire.PS_ADD_F, flags, pages: nrPages, address: vaddr, target };
			wire.writeHeader(view, at, this.size, message);
			list.push((base + BigInt(at)) | BigInt(PIECE_LOCAL), BigInt(this.size));
			if ((flags & PE_PRESENT) === 0) continue;
			const end = vaddr + nrPages * PAGE;
			while (piece < pieces.length && ((pieces[piece] ?? 0n) & ~BigInt(PIECE_SHARED)) < end) {
				list.push(pieces[piece] ?? 0n, pieces[piece + 1] ?? 0n);
				piece += 2;
			}
		}
		return BigUint64Array.from(list);
	}

	/** The next dump is told by it what the server has. */
	private note(vpid: number, entries: readonly pagemap_entry[]): void {
		using pagemap = this.dir.writer(SENT_PAGEMAP, vpid);
		pagemap.writeHead(create(pagemap_headSchema, { pagesId: 0 }));
		for (const entry of entries) pagemap.write(entry);
		pagemap.close();
	}

	writeSegment(segment: SegmentPages): void {
		const target = wire.targetOf(wire.TYPE_SEGMENT, segment.shmid);
		this.open(target);
		try {
			for (const { vaddr, nrPages, flags } of segmentEntries(segment)) {
				this.tell({ command: wire.PS_ADD_F, flags, pages: nrPages, address: vaddr, target });
				copySegmentRange(segment, vaddr, vaddr + nrPages * PAGE, this.fd);
			}
		} catch (error) {
			throw lost(error);
		}
	}

	finish(): void {
		this.tell({ command: this.shared ? wire.PS_FORCE_CLOSE : wire.PS_CLOSE });
		// What stays in a connection that others hold would be taken for the answer to the next dump.
		const take = this.shared ? wire.receiveAll : wire.peekAll;
		const status = take(this.fd, 4).getInt32(0, true);
		if (status !== 0)
			throw new CriuError("PAGE_SERVER", `the page server reports failure ${status}`, {
				remedy: "look into its log, then dump again",
			});
	}

	settle(): void {
		if (!this.shared) wire.receiveAll(this.fd, 4);
	}

	[Symbol.dispose](): void {
		closeFd(this.fd);
	}
}
