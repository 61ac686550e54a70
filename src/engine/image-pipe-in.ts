// SPDX-License-Identifier: GPL-2.0-only
// The restore's end of a stream of images. All but pages is taken into memory when it's opened. Pages of one task are read by itself,
// straight from the stream; all others wait in files without names, which are freed as they're read.

import { BugError, CriuError, isErrno } from "../errors.ts";
import type { ImageChannel } from "../images/index.ts";
import { O_RDWR } from "../kernel/abi/fcntl.ts";
import { closeFd, openAt, writeAll } from "../sys/file.ts";
import { duplicate, isNonBlocking, makeMemoryFile, moveToFile, readStream } from "../sys/stream-io.ts";
import { fillingFile, makeWaitingFile } from "../sys/waiting-file.ts";
import {
	corruptStream,
	cutStream,
	decodeHead,
	decodePlan,
	decodeRecord,
	HEAD_SIZE,
	type PlannedPages,
	RECORD,
	RECORD_SIZE,
	type RecordHead,
	readName,
} from "./image-pipe.ts";

/** What is longer is put into a file at once. */
const MAX_HELD = 1 << 20;
/** Images but pages. */
const MAX_IMAGES = 1 << 24;
const MAX_PLAN = 64 << 20;

/** An image that has come, or comes. */
interface Received {
	readonly name: string;
	parts: Uint8Array[];
	/** In bytes. */
	length: number;
	/** Where it lies instead, -1: nowhere. */
	file: number;
	isWhole: boolean;
}

interface ReceivedPages extends PlannedPages {
	file: number;
}

export class ImagePipeIn implements ImageChannel {
	private readonly images: Received[] = [];
	private readonly byName = new Map<string, Received>();
	private pages: ReceivedPages[] = [];
	private nextPages = 0;
	private bytes = 0;
	private straight: ReceivedPages | undefined;
	private isReadingStraight = false;
	private hasEnded = false;

	readonly hasPagesLast = true;
	/** The tasks end here when all was read: nobody can be made before. */
	isLocal = false;

	private constructor(
		private readonly fd: number,
		private readonly places: readonly string[],
	) {}

	/**
	 * Takes over the descriptor; reads all that comes before the pages. `inOtherPids`: the tasks get theirs in a namespace of their own.
	 * `places`: where files may lie for pages that have to wait.
	 *
	 * @throws CriuError STREAM_*
	 */
	static open(fd: number, inOtherPids: boolean, places: readonly string[]): ImagePipeIn {
		const own = new ImagePipeIn(fd, places);
		try {
			const { isLocal } = decodeHead(own.readAll(HEAD_SIZE));
			own.isLocal = isLocal && !inOtherPids;
			for (let record = own.readRecord(); record.type !== RECORD.plan; record = own.readRecord()) own.take(record);
			return own;
		} catch (error) {
			own.close();
			throw error;
		}
	}

	private readAll(length: number): Uint8Array {
		const bytes = new Uint8Array(length);
		if (readStream(this.fd, bytes) < length) throw cutStream();
		return bytes;
	}

	private readRecord(): RecordHead {
		const record = decodeRecord(this.readAll(RECORD_SIZE));
		if (record.type !== RECORD.plan) return record;
		if (record.length > MAX_PLAN) throw corruptStream(`a plan of ${record.length} bytes`);
		for (const { name, isWhole } of this.images) if (!isWhole) throw corruptStream(`${name} isn't whole`);
		this.pages = decodePlan(this.readAll(record.length), record.number).map((one) => ({ ...one, file: -1 }));
		return record;
	}

	private take({ type, number, length }: RecordHead): void {
		if (type === RECORD.name) {
			if (number !== this.images.length || number >= MAX_IMAGES || length > 255)
				throw corruptStream(`image ${number} begins`);
			this.begin(readName(this.readAll(length)));
			return;
		}
		const image = this.images[number];
		if (image === undefined || image.isWhole) throw corruptStream(`a record ${type} of image ${number}`);
		if (type === RECORD.data) this.append(image, length);
		else if (type === RECORD.whole && length === 8) this.complete(image);
		else throw corruptStream(`a record ${type} of ${length} bytes`);
	}

	private begin(name: string): void {
		if (this.byName.has(name)) throw corruptStream(`${name} comes twice`);
		const image: Received = { name, parts: [], length: 0, file: -1, isWhole: false };
		this.images.push(image);
		this.byName.set(name, image);
	}

	private append(image: Received, length: number): void {
		if (image.file < 0 && image.length + length > MAX_HELD) {
			image.file = makeMemoryFile(`criu: ${image.name}`);
			for (const part of image.parts.splice(0)) writeAll(image.file, part);
		}
		if (image.file < 0) image.parts.push(this.readAll(length));
		else if (moveToFile(this.fd, image.file, length) < length) throw cutStream();
		image.length += length;
		this.bytes += length;
	}

	private complete(image: Received): void {
		const total = new DataView(this.readAll(8).buffer).getBigUint64(0, true);
		if (total !== BigInt(image.length)) throw corruptStream(`${image.name} has ${image.length} bytes, not ${total}`);
		image.isWhole = true;
	}

	open(name: string): number | undefined {
		const pages = this.pages.find((one) => one.name === name);
		if (pages !== undefined) return duplicate(this.fileOf(pages));
		const image = this.byName.get(name);
		if (image === undefined) return undefined;
		if (image.file >= 0) return openAt(`/proc/self/fd/${image.file}`, O_RDWR);
		const file = makeMemoryFile(`criu: ${name}`);
		for (const part of image.parts) writeAll(file, part);
		return file;
	}

	/** What will have the pages, which come later. */
	private fileOf(pages: ReceivedPages): number {
		if (pages.file < 0) pages.file = makeWaitingFile(pages.name, pages.length, this.places);
		return pages.file;
	}

	beginPlan(): void {
		this.straight = undefined;
	}

	openStraight(name: string): { fd: number; length: number } | undefined {
		const pages = this.pages.find((one) => one.name === name);
		if (pages === undefined || this.straight !== undefined || this.isLocal) return undefined;
		// A task waits for nothing but reads: the flag is that of others, too, and not ours to take away.
		if (isNonBlocking(this.fd)) return undefined;
		this.straight = pages;
		return { fd: duplicate(this.fd), length: pages.length };
	}

	/** Takes the pages files up to that which a task reads for itself, or to the end. */
	receive(): void {
		if (this.hasEnded) return;
		this.isReadingStraight = false;
		for (; this.nextPages < this.pages.length; this.nextPages++) {
			const pages = this.pages[this.nextPages] as ReceivedPages;
			const { type, number, length } = this.readRecord();
			if (type !== RECORD.pages || number !== this.nextPages || length !== pages.length)
				throw corruptStream(`a record ${type} of ${length} bytes instead of ${pages.name}`);
			this.bytes += length;
			if (pages === this.straight) {
				this.isReadingStraight = true;
				this.nextPages++;
				return;
			}
			const got = fillingFile(pages.name, () => moveToFile(this.fd, this.fileOf(pages), length));
			if (got < length) throw cutStream();
		}
		this.readEnd();
	}

	private readEnd(): void {
		const { type, length } = this.readRecord();
		if (type !== RECORD.end || length !== 16)
			throw corruptStream(`a record ${type} of ${length} bytes instead of the end`);
		const view = new DataView(this.readAll(16).buffer);
		const [bytes, images] = [view.getBigUint64(0, true), view.getBigUint64(8, true)];
		if (bytes !== BigInt(this.bytes) || images !== BigInt(this.images.length + this.pages.length))
			throw corruptStream(`it has ${this.bytes} bytes of images, not ${bytes}`);
		this.hasEnded = true;
	}

	finish(): void {
		if (!this.hasEnded) throw new BugError("the stream of images wasn't read to its end");
	}

	/** What the task that reads the stream can't tell apart from other failures of reading. */
	explain(error: unknown): unknown {
		const isCut = this.isReadingStraight && error instanceof CriuError && isErrno(error.cause ?? error, "EIO");
		return isCut ? cutStream(error) : error;
	}

	create(name: string): never {
		throw new BugError(`image ${name} can't be written while others are read`);
	}

	close(): void {
		for (const { file } of [...this.images, ...this.pages]) if (file >= 0) closeFd(file);
		closeFd(this.fd);
	}
}
