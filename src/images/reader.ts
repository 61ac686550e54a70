// SPDX-License-Identifier: GPL-2.0-only
// Reader of one image file. Nothing in the file is believed: sizes are checked against what is left of it before
// memory is taken. Payloads are handed out as places in the file, so that large ones are never held.

import { closeSync, fstatSync, readSync } from "node:fs";
import type { Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { BugError, ImageError } from "../errors.ts";
import { MessageDecoder } from "./decode.ts";
import { headerOf, type ImgVersion, MAX_ENTRY_SIZE, readFailure, truncated } from "./framing.ts";
import type { ImageKind } from "./kinds.ts";

const WINDOW_SIZE = 64 * 1024;
const INTACT = "take the images from an intact copy, or dump again";

/** Where raw bytes lie: `length` bytes at `offset` of the open file. Valid while the reader is open. */
export interface Payload {
	readonly fd: number;
	readonly offset: number;
	readonly length: number;
}

/** A message of an image with the raw bytes that follow it; bytes without a message in raw images. */
export interface ImageRecord {
	readonly schema: GenMessage<Message> | undefined;
	readonly message: Message | undefined;
	readonly payload: Payload | undefined;
}

export class ImageReader<E extends Message = Message, H extends Message = Message> {
	readonly #fd: number;
	readonly #size: number;
	#open = true;
	#at = 0;
	#window = new Uint8Array(0);
	#windowAt = 0;
	readonly #decoder: MessageDecoder;

	/**
	 * Takes over the descriptor; reads and checks the header.
	 * @throws ImageError IMAGE_READ, IMAGE_CORRUPT (no regular file), IMAGE_TRUNCATED, IMAGE_MAGIC.
	 */
	constructor(
		readonly kind: ImageKind<E, H>,
		fd: number,
		readonly file: string,
		version: ImgVersion,
	) {
		this.#fd = fd;
		this.#decoder = new MessageDecoder(`image ${file}`);
		try {
			const stat = fstatSync(fd);
			if (!stat.isFile()) {
				throw new ImageError("IMAGE_CORRUPT", `image ${file} is no regular file`, { file, remedy: INTACT });
			}
			this.#size = stat.size;
			this.#checkHeader(headerOf(kind as ImageKind, version));
		} catch (error) {
			this[Symbol.dispose]();
			throw readFailure(file, error);
		}
	}

	/** Length of the file in bytes. */
	get size(): number {
		return this.#size;
	}

	/** Where the next read starts. */
	get offset(): number {
		return this.#at;
	}

	/** Bytes from there to the end. */
	get remaining(): number {
		return this.#size - this.#at;
	}

	#checkHeader(words: number[]): void {
		for (const word of words) {
			if (this.remaining < 4) throw truncated(this.file, this.#at, "its header");
			const found = this.#takeUint32();
			if (found === word) continue;
			const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;
			throw new ImageError("IMAGE_MAGIC", `image ${this.file} starts with ${hex(found)} instead of ${hex(word)}`, {
				file: this.file,
				offset: this.#at - 4,
				remedy: INTACT,
			});
		}
	}

	/** The next `length` bytes, valid until the next call. */
	#take(length: number): Uint8Array {
		const start = this.#at;
		if (start < this.#windowAt || start + length > this.#windowAt + this.#window.length) this.#load(start, length);
		this.#at += length;
		return this.#window.subarray(start - this.#windowAt, start - this.#windowAt + length);
	}

	#load(start: number, length: number): void {
		const wanted = Math.min(this.#size - start, Math.max(length, WINDOW_SIZE));
		const window = new Uint8Array(wanted);
		let filled = 0;
		try {
			while (filled < wanted) {
				const count = readSync(this.#fd, window, filled, wanted - filled, start + filled);
				if (count === 0) throw truncated(this.file, start + filled, "what it held when it was opened");
				filled += count;
			}
		} catch (error) {
			throw readFailure(this.file, error);
		}
		this.#window = window;
		this.#windowAt = start;
	}

	#takeUint32(): number {
		const start = this.#at;
		if (start < this.#windowAt || start + 4 > this.#windowAt + this.#window.length) this.#load(start, 4);
		this.#at += 4;
		const window = this.#window;
		const at = start - this.#windowAt;
		// A view of four bytes costs more than all of this, and there are thousands of entries.
		const [a = 0, b = 0, c = 0, d = 0] = [window[at], window[at + 1], window[at + 2], window[at + 3]];
		return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
	}

	/**
	 * The next message, of any type; undefined at the end of the file.
	 * @throws ImageError IMAGE_TRUNCATED, IMAGE_TOO_LARGE, IMAGE_CORRUPT, IMAGE_READ.
	 */
	nextMessage<T extends Message>(schema: GenMessage<T>): T | undefined {
		if (this.remaining === 0) return undefined;
		const start = this.#at;
		if (this.remaining < 4) throw truncated(this.file, start, "the size of an entry");
		const size = this.#takeUint32();
		if (size > MAX_ENTRY_SIZE) {
			throw new ImageError("IMAGE_TOO_LARGE", `image ${this.file} has an entry of ${size} bytes at offset ${start}`, {
				file: this.file,
				offset: start,
				remedy: INTACT,
			});
		}
		if (size > this.remaining) throw truncated(this.file, start, `an entry of ${size} bytes`);
		const offset = this.#at;
		return this.#decoder.decode(schema, this.#take(size), offset);
	}

	/** The next message where one must be. */
	getMessage<T extends Message>(schema: GenMessage<T>): T {
		const message = this.nextMessage(schema);
		if (message === undefined) throw truncated(this.file, this.#at, `its first part, before a ${schema.typeName}`);
		return message;
	}

	/** The head of a headed image; to be read first. */
	readHead(): H {
		if (this.kind.head === undefined) throw new BugError(`image ${this.file} has no head`);
		return this.getMessage(this.kind.head);
	}

	/** The next entry; undefined at the end. Its payload, if it has one, is to be taken before the next call. */
	next(): E | undefined {
		if (this.kind.entry === undefined) throw new BugError(`image ${this.file} has no entries`);
		return this.nextMessage(this.kind.entry);
	}

	/** The only entry of the image. */
	readEntry(): E {
		if (this.kind.entry === undefined) throw new BugError(`image ${this.file} has no entries`);
		return this.getMessage(this.kind.entry);
	}

	/** Every further entry; payloads and nested messages are passed over, whether the caller looked at them or not. */
	*entries(): Generator<E, void, undefined> {
		for (let entry = this.next(); entry !== undefined; entry = this.next()) {
			const behind = this.#at;
			yield entry;
			this.#at = behind;
			if (this.kind.payloadOf !== undefined) this.takePayload(this.kind.payloadOf(entry));
			if (this.kind.nested !== undefined) for (const _ of this.#nested(entry));
		}
	}

	/** Steps over the payload of `length` bytes that starts here and tells where it is. */
	takePayload(length: number): Payload {
		if (!Number.isSafeInteger(length) || length < 0 || length > this.remaining) {
			throw truncated(this.file, this.#at, `a payload of ${length} bytes`);
		}
		const payload = { fd: this.#fd, offset: this.#at, length };
		this.#at += length;
		return payload;
	}

	/** The bytes of a small payload. @throws ImageError IMAGE_TRUNCATED, or IMAGE_TOO_LARGE for one to be streamed. */
	readPayload(length: number): Uint8Array {
		if (length > MAX_ENTRY_SIZE) {
			throw new ImageError("IMAGE_TOO_LARGE", `image ${this.file} has ${length} bytes in one piece at ${this.#at}`, {
				file: this.file,
				offset: this.#at,
				remedy: INTACT,
			});
		}
		const { offset } = this.takePayload(length);
		this.#at = offset;
		return this.#take(length).slice();
	}

	/** Whatever an image of this kind holds, in order: the head, entries, nested messages, raw bytes. */
	*records(): Generator<ImageRecord, void, undefined> {
		const { kind } = this;
		if (kind.head !== undefined) {
			const head = this.readHead();
			const raw = kind.isRawAfterHead?.(head) === true;
			yield this.#record(kind.head, head, raw ? this.remaining : (kind.payloadOf?.(head) ?? 0));
		}
		if (kind.entry === undefined) {
			yield { schema: undefined, message: undefined, payload: this.takePayload(this.remaining) };
			return;
		}
		if (kind.framing === "single") {
			yield* this.#recordsOf(this.readEntry());
			return;
		}
		for (let entry = this.next(); entry !== undefined; entry = this.next()) yield* this.#recordsOf(entry);
	}

	*#recordsOf(entry: E): Generator<ImageRecord, void, undefined> {
		const { entry: schema, payloadOf } = this.kind;
		if (schema !== undefined) yield this.#record(schema, entry, payloadOf?.(entry) ?? 0);
		yield* this.#nested(entry);
	}

	#record<T extends Message>(schema: GenMessage<T>, message: T, length: number): ImageRecord {
		const payload = length > 0 ? this.takePayload(length) : undefined;
		return { schema: schema as GenMessage<Message>, message, payload };
	}

	/** The messages that belong to an entry, each with its payload. */
	*#nested(entry: E): Generator<ImageRecord, void, undefined> {
		const { nested } = this.kind;
		if (nested === undefined) return;
		const count = nested.countOf(entry);
		for (let index = 0; index < count; index++) {
			const message = this.getMessage(nested.schema);
			yield this.#record(nested.schema, message, nested.payloadOf(message));
		}
	}

	/** Closes the file; payloads of it are not to be used any more. */
	[Symbol.dispose](): void {
		if (!this.#open) return;
		this.#open = false;
		try {
			closeSync(this.#fd);
		} catch {
			// Nothing was written: a failure to close a file that was only read loses nothing.
		}
	}
}
