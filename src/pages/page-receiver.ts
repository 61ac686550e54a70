// SPDX-License-Identifier: GPL-2.0-only
// The receiving side of a page server: one connection, whose pages become images. Everything that comes is untrusted.

import { CriuError, KernelError } from "../errors.ts";
import type { pagemap_entry, pagemap_head } from "../images/gen/mm_pb.ts";
import { pagemap_entrySchema, pagemap_headSchema } from "../images/gen/mm_pb.ts";
import { create, type ImageDir, type ImageKind, imageFileName, KINDS } from "../images/index.ts";
import type { ImageWriter } from "../images/writer.ts";
import { SYS_pwrite64 } from "../kernel/abi/syscalls.x86_64.ts";
import { log } from "../log.ts";
import { noteProgress, syscall } from "../sys/host.ts";
import { freeAfterwards, punchOlder } from "./dedup.ts";
import { listHeld, nrPagesFields, PE_LAZY, PE_PARENT, PE_PRESENT } from "./pagemap.ts";
import type { Ranges } from "./ranges.ts";
import * as wire from "./wire.ts";

const PAGE = 4096n;
const ADDRESS_LIMIT = 1n << 47n;
/** A local dump into the same directory counts its pages files from 1. */
const FIRST_PAGES_ID = 0x10001;
const BUFFER = 1 << 20;
const PID_LIMIT = 4194304n;
const TASK_TYPES = new Set([1, 10, 11, 16, 17]);
const SEGMENT_TYPES = new Set([2, 27, 28, 29, 32, 33, 34]);
/** Until the rest of a first message has come that may be of either length. */
const REST_MS = 200;

type PagemapKind = ImageKind<pagemap_entry, pagemap_head>;

function refuse(problem: string): CriuError {
	return new CriuError("PAGE_STREAM", `what came for the page server is no dump: ${problem}`, {
		remedy: "use the same version of criu on both sides, and a connection that nobody else writes to",
	});
}

/** A pagemap that is being received. */
interface Open {
	readonly target: bigint;
	readonly kind: PagemapKind;
	readonly id: bigint;
	readonly pagemap: ImageWriter<pagemap_entry, pagemap_head>;
	readonly pages: ImageWriter;
	readonly pagesFd: number;
	/** What the parent images have; undefined: there are none. */
	readonly parent: Ranges | undefined;
	/** The end of the last entry. */
	end: bigint;
	/** Bytes in the pages file. */
	written: bigint;
}

export class PageReceiver {
	private open: Open | undefined;
	private size: wire.HeaderSize | undefined;
	private nextPagesId = FIRST_PAGES_ID;
	private readonly made: string[] = [];
	private readonly received: { readonly kind: PagemapKind; readonly id: bigint }[] = [];
	private readonly buffer = new Uint8Array(BUFFER);
	private readonly parent: ImageDir | undefined;
	/** Pages that came, and those that are left to the parent images. */
	readonly counts = { received: 0n, inParent: 0n };

	/** `shared`: others may hold the connection, too, so that its end isn't waited for. */
	constructor(
		private readonly fd: number,
		private readonly dir: ImageDir,
		private readonly options: {
			readonly autoDedup: boolean;
			readonly shared: boolean;
			/** Asked at the end: whether the other side meant it. */
			readonly endedWell?: () => boolean;
		},
	) {
		this.parent = dir.openParent();
	}

	/**
	 * Serves until the dump says that it was all. Otherwise nothing of it is left in the directory. Older images are only touched
	 * (`autoDedup`) when the dump, whose pages alone are here, is whole.
	 *
	 * @throws CriuError PAGE_CONNECTION, PAGE_STREAM; ImageError
	 */
	run(): void {
		try {
			const isWhole = this.endsWell(this.receiveAll());
			if (!this.options.autoDedup || this.parent === undefined) return;
			if (isWhole) this.freeOlder();
			else log.warn("nothing is freed in older images, as it isn't known that the dump is whole: criu dedup does it");
		} finally {
			this.parent?.close();
		}
	}

	/** The message that ended the dump. */
	private receiveAll(): wire.Message {
		try {
			for (;;) {
				const message = this.next();
				if (message === undefined)
					throw new CriuError("PAGE_CONNECTION", "The data were not flushed: the dump ended before it was whole", {
						remedy: "look into the log of the dump, then dump again",
					});
				if (this.handle(message)) return message;
			}
		} catch (error) {
			this.open?.pagemap[Symbol.dispose]();
			this.open?.pages[Symbol.dispose]();
			for (const name of this.made) this.dir.removeFile(name);
			throw error;
		}
	}

	/** The next message; undefined at the end of the stream. */
	private next(): wire.Message | undefined {
		this.size ??= this.findSize();
		if (this.size === undefined) return undefined;
		if (this.first !== undefined) {
			const first = this.first;
			this.first = undefined;
			return first;
		}
		const bytes = new Uint8Array(this.size);
		const got = wire.receive(this.fd, bytes);
		if (got === 0) return undefined;
		const view = new DataView(bytes.buffer);
		// Our answer came too late: the other side has taken its header for a part of a long one, and sent the rest of that.
		if (this.size === wire.SHORT_HEADER && got >= 8 && view.getBigUint64(0, true) === wire.NO_TARGET) {
			this.size = wire.LONG_HEADER;
			return got === 8 ? undefined : this.nextAfter(bytes.subarray(8, got));
		}
		if (got < bytes.length) throw wire.cutConnection();
		return wire.readHeader(view, this.size);
	}

	/** A long header whose first bytes have come. */
	private nextAfter(head: Uint8Array): wire.Message {
		const bytes = new Uint8Array(wire.LONG_HEADER);
		bytes.set(head);
		const rest = bytes.subarray(head.length);
		if (wire.receive(this.fd, rest) < rest.length) throw wire.cutConnection();
		return wire.readHeader(new DataView(bytes.buffer), wire.LONG_HEADER);
	}

	private first: wire.Message | undefined;

	/** The first message asks about a pagemap or opens one: where its number is tells the length of headers. */
	private findSize(): wire.HeaderSize | undefined {
		const bytes = new Uint8Array(wire.LONG_HEADER);
		const view = new DataView(bytes.buffer);
		const got = wire.receive(this.fd, bytes.subarray(0, wire.SHORT_HEADER));
		if (got === 0) return undefined;
		if (got < wire.SHORT_HEADER) throw wire.cutConnection();
		const command = view.getUint32(0, true) & 0xffff;
		const ends = command === wire.PS_CLOSE || command === wire.PS_FORCE_CLOSE;
		let size = wire.SHORT_HEADER;
		if (view.getBigUint64(16, true) === 0n && (!ends || wire.awaitInput(this.fd, REST_MS))) {
			if (wire.receive(this.fd, bytes.subarray(wire.SHORT_HEADER)) < 8) throw wire.cutConnection();
			size = wire.LONG_HEADER;
		}
		this.first = wire.readHeader(view, size);
		return size;
	}

	/** True when all has come. */
	private handle(message: wire.Message): boolean {
		const { command, target, flags } = message;
		switch (command) {
			case wire.PS_OPEN:
				this.openPagemap(target);
				return false;
			case wire.PS_OPEN2:
				wire.send(this.fd, Uint8Array.of(this.openPagemap(target) ? 1 : 0));
				return false;
			case wire.PS_PARENT: {
				const { kind, id } = parseTarget(target);
				const answer = (this.parent?.exists(kind as ImageKind, id) ?? false) ? 1 : 0;
				wire.send(this.fd, new Uint8Array(Int32Array.of(answer).buffer));
				return false;
			}
			case wire.PS_ADD:
				this.add(message, PE_PRESENT);
				return false;
			case wire.PS_HOLE:
				this.add(message, PE_PARENT);
				return false;
			case wire.PS_ADD_F:
				this.add(message, flags);
				return false;
			case wire.PS_CLOSE:
			case wire.PS_FORCE_CLOSE:
				this.closePagemap();
				// All is on disk before the dump is told so.
				wire.send(this.fd, new Uint8Array(4));
				return true;
			default:
				throw refuse(`Unknown command ${command}`);
		}
	}

	private openPagemap(target: bigint): boolean {
		this.closePagemap();
		const { kind, id } = parseTarget(target);
		const pagesId = this.nextPagesId++;
		const parent = this.readParent(kind, id);
		const pagemap = this.dir.writer(kind, id);
		this.made.push(pagemap.file);
		pagemap.writeHead(create(pagemap_headSchema, { pagesId }));
		const pages = this.dir.writer(KINDS.PAGES, pagesId);
		this.made.push(pages.file);
		const { fd } = pages.openStream();
		this.open = { target, kind, id, pagemap, pages, pagesFd: fd, parent, end: 0n, written: 0n };
		this.received.push({ kind, id });
		return parent !== undefined;
	}

	private readParent(kind: PagemapKind, id: bigint): Ranges | undefined {
		const pagemap = this.parent?.findHeaded(kind, id);
		return pagemap === undefined ? undefined : listHeld(imageFileName(kind as ImageKind, id), pagemap.entries);
	}

	private closePagemap(): void {
		const { open } = this;
		this.open = undefined;
		open?.pages.close();
		open?.pagemap.close();
	}

	private add({ address, pages, target }: wire.Message, flags: number): void {
		if (this.open?.target !== target) this.openPagemap(target);
		const { open } = this;
		if (open === undefined) throw refuse("pages without a pagemap");
		const end = address + pages * PAGE;
		if (address % PAGE !== 0n || pages === 0n || address < open.end || end > ADDRESS_LIMIT)
			throw refuse(`${pages} pages at 0x${address.toString(16)} are out of order or range`);
		const source = flags & (PE_PARENT | PE_PRESENT);
		if ((flags & ~(PE_PARENT | PE_LAZY | PE_PRESENT)) !== 0 || source === 0 || source === (PE_PARENT | PE_PRESENT))
			throw refuse(`pages with flags ${flags}`);
		open.end = end;
		if (source === PE_PARENT) this.checkHole(open, address, end);
		else this.receivePages(open, pages * PAGE);
		this.counts[source === PE_PARENT ? "inParent" : "received"] += pages;
		open.pagemap.write(create(pagemap_entrySchema, { vaddr: address, ...nrPagesFields(pages), flags }));
	}

	private checkHole({ parent = [] }: Open, start: bigint, end: bigint): void {
		let low = 0;
		let high = parent.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if ((parent[middle]?.end ?? 0n) <= start) low = middle + 1;
			else high = middle;
		}
		const range = parent[low];
		if (range === undefined || range.start > start || range.end < end)
			throw refuse(`pages at 0x${start.toString(16)} are to be in the parent images, but aren't`);
	}

	private receivePages(open: Open, bytes: bigint): void {
		for (let left = bytes; left > 0n; ) {
			const part = this.buffer.subarray(0, left < BigInt(BUFFER) ? Number(left) : BUFFER);
			if (wire.receive(this.fd, part) < part.length) throw wire.cutConnection();
			for (let done = 0; done < part.length; ) {
				const at = open.written + BigInt(done);
				const ret = syscall(SYS_pwrite64, open.pagesFd, part.subarray(done), part.length - done, at);
				if (ret <= 0)
					throw new KernelError("pwrite64", ret < 0 ? -ret : 5, "of the pages image", {
						remedy: "make room on the file system of the images directory, or use another one (--images-dir)",
					});
				done += ret;
			}
			open.written += BigInt(part.length);
			noteProgress(part.length, 0);
			left -= BigInt(part.length);
		}
	}

	/**
	 * Waits for the dump to close the connection: then no port of ours stays busy, and a reset says that it failed after all its
	 * pages were here. False when that, or nothing, is known.
	 */
	private endsWell({ command }: wire.Message): boolean {
		log.debug(() => `received ${this.counts.received} pages, ${this.counts.inParent} are in the parent images`);
		// Others may hold the connection, which has no end then.
		if (this.options.shared || command === wire.PS_FORCE_CLOSE) return false;
		try {
			if (wire.receive(this.fd, new Uint8Array(1)) === 0) return this.options.endedWell?.() ?? true;
			log.warn("Unexpected data after the end of the dump");
		} catch (error) {
			if (!(error instanceof CriuError)) throw error;
			log.warn(`the dump failed when all its pages were here, or the connection did: ${error.message}`);
		}
		return false;
	}

	private freeOlder(): void {
		freeAfterwards("older images", () =>
			this.received.reduce((freed, { kind, id }) => freed + punchOlder(this.dir, kind, id), 0n),
		);
	}
}

function parseTarget(target: bigint): { kind: PagemapKind; id: bigint } {
	const type = Number(target & 0xffn);
	const id = target >> 8n;
	if (TASK_TYPES.has(type)) {
		if (id < 1n || id > PID_LIMIT) throw refuse(`pages of pid ${id}`);
		return { kind: KINDS.PAGEMAP, id };
	}
	if (SEGMENT_TYPES.has(type)) return { kind: KINDS.SHMEM_PAGEMAP, id };
	throw refuse(`Unknown pagemap type received: ${type}`);
}
