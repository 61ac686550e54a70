// SPDX-License-Identifier: GPL-2.0-only
// Appending writer of one image file. The file comes into being with the first write, so that an image without content
// does not exist; large payloads go straight to the file from outside of this module.

import { closeSync, constants, lstatSync, openSync, unlinkSync, writeSync } from "node:fs";
import type { Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { BugError, ImageError } from "../errors.ts";
import type { ImageChannel, OutgoingImage } from "./channel.ts";
import { encodeFramed } from "./encode.ts";
import { headerOf, isFsErrno, MAX_ENTRY_SIZE, writeFailure } from "./framing.ts";
import type { ImageKind } from "./kinds.ts";

const FIRST_BUFFER_SIZE = 4 * 1024;
const BUFFER_SIZE = 64 * 1024;
/** Buffers of writers that are done: a tree has thousands of small images, one after the other. */
const spare: Uint8Array[] = [];
const O_CLOEXEC = 0o2000000;

/**
 * Opens a new image file for reading and writing, mode 0600. An older regular file of that name is replaced, not
 * written over: it may be shared with a copy of the images by hard links, or be readable by others.
 * @throws ImageError IMAGE_WRITE.
 */
export function createImageFile(path: string, file: string): number {
	const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | O_CLOEXEC;
	try {
		try {
			return openSync(path, flags, 0o600);
		} catch (error) {
			if (!isFsErrno(error, "EEXIST")) throw error;
		}
		if (!lstatSync(path).isFile()) {
			throw new ImageError(
				"IMAGE_WRITE",
				`cannot write image ${file}: the name is taken by something that is no file`,
				{
					file,
					remedy: `remove ${file} from the images directory, or choose another directory`,
				},
			);
		}
		unlinkSync(path);
		return openSync(path, flags, 0o600);
	} catch (error) {
		throw writeFailure(file, error);
	}
}

/**
 * Removes a file of the images directory; one that does not exist is fine.
 * @throws ImageError IMAGE_WRITE.
 */
export function removeImageFile(path: string, file: string): void {
	try {
		unlinkSync(path);
	} catch (error) {
		if (!isFsErrno(error, "ENOENT")) throw writeFailure(file, error);
	}
}

/** Use with `using`: leaving the scope without `close()` closes the descriptor and leaves an incomplete file. */
export class ImageWriter<E extends Message = Message, H extends Message = Message> {
	#fd = -1;
	/** Instead of a file. */
	#out: OutgoingImage | undefined;
	#closed = false;
	#buffer: Uint8Array | undefined;
	#filled = 0;
	/** Bytes that are in the file already; what the buffer holds goes there. */
	#written = 0;

	/** `path` names the file for the kernel, `file` for the user. With a channel there is no file. */
	constructor(
		readonly kind: ImageKind<E, H>,
		private readonly path: string,
		readonly file: string,
		private readonly channel?: ImageChannel,
	) {}

	/** Length of the image so far, in bytes. */
	get length(): number {
		return this.#written + this.#filled;
	}

	/**
	 * Appends one entry.
	 * @throws BugError when the message is incomplete; ImageError IMAGE_WRITE or IMAGE_TOO_LARGE.
	 */
	write(entry: E): void {
		if (this.kind.entry === undefined) throw new BugError(`image ${this.file} has no entries`);
		this.writeMessage(this.kind.entry, entry);
	}

	/** Appends the head of a headed image. */
	writeHead(head: H): void {
		if (this.kind.head === undefined) throw new BugError(`image ${this.file} has no head`);
		this.writeMessage(this.kind.head, head);
	}

	/** Appends a message of another type, such as one that is nested in an entry. */
	writeMessage<T extends Message>(schema: GenMessage<T>, message: T): void {
		const bytes = encodeFramed(schema, message);
		const size = bytes.length - 4;
		if (size > MAX_ENTRY_SIZE) {
			throw new ImageError("IMAGE_TOO_LARGE", `a ${schema.typeName} of ${size} bytes does not fit in ${this.file}`, {
				file: this.file,
				remedy: "no image entry can be larger than 64 MiB; let the program give up some of what it holds",
			});
		}
		this.writePayload(bytes);
	}

	/** Appends raw bytes. They are copied, the caller may use them again. */
	writePayload(bytes: Uint8Array): void {
		this.touch();
		if (this.#filled + bytes.length > BUFFER_SIZE) this.flush();
		if (bytes.length >= BUFFER_SIZE) {
			this.#put(bytes);
			return;
		}
		this.#room(bytes.length).set(bytes, this.#filled);
		this.#filled += bytes.length;
	}

	/** The buffer with room for that much more; most images are small and stay with the first one. */
	#room(length: number): Uint8Array {
		const old = this.#buffer;
		if (old !== undefined && this.#filled + length <= old.length) return old;
		const isFirst = this.#filled + length <= FIRST_BUFFER_SIZE;
		const buffer = isFirst ? (spare.pop() ?? new Uint8Array(FIRST_BUFFER_SIZE)) : new Uint8Array(BUFFER_SIZE);
		if (old !== undefined) buffer.set(old.subarray(0, this.#filled));
		this.#buffer = buffer;
		return buffer;
	}

	/** Brings the file into being even if nothing else is written; for images that must exist, such as pagemaps. */
	touch(): void {
		if (this.#closed) throw new BugError(`image ${this.file} is closed already`);
		if (this.#fd >= 0) return;
		this.#out = this.channel?.create(this.file);
		this.#fd = this.#out?.fd ?? createImageFile(this.path, this.file);
		const words = headerOf(this.kind as ImageKind, 2);
		const header = new Uint8Array(words.length * 4);
		const view = new DataView(header.buffer);
		for (const [index, word] of words.entries()) view.setUint32(index * 4, word, true);
		if (header.length > 0) this.writePayload(header);
	}

	/**
	 * The file itself, for a payload that somebody else writes with pwrite or splice at `offset`; everything appended
	 * before is in the file. `skip` tells how much was written; the descriptor stays the writer's. `length`: how much it will be;
	 * images that are no files can't do without it, and have no positions: `hasPositions` tells.
	 */
	openStream(length?: number): { fd: number; offset: number; hasPositions: boolean } {
		this.touch();
		this.flush();
		if (this.#out !== undefined) {
			if (length === undefined) throw new BugError(`image ${this.file} needs to know how much comes`);
			this.#out.announce(length);
		}
		return { fd: this.#fd, offset: this.#written, hasPositions: this.#out === undefined };
	}

	/** Counts `length` bytes that were written to the stream. */
	skip(length: number): void {
		if (this.#filled !== 0 || this.#fd < 0) throw new BugError(`image ${this.file} is not streaming`);
		this.#written += length;
	}

	/** Gives the descriptor away, to be closed by the caller; the writer is closed after that. */
	detach(): number {
		if (this.channel !== undefined) throw new BugError(`image ${this.file} is no file`);
		this.touch();
		this.flush();
		const fd = this.#fd;
		this.#fd = -1;
		this.#closed = true;
		return fd;
	}

	/** Writes out what is buffered. */
	flush(): void {
		if (this.#filled === 0 || this.#buffer === undefined) return;
		const pending = this.#buffer.subarray(0, this.#filled);
		this.#put(pending);
		this.#filled = 0;
	}

	#put(bytes: Uint8Array): void {
		if (this.#out !== undefined) {
			this.#out.write(bytes);
			this.#written += bytes.length;
			return;
		}
		let done = 0;
		try {
			while (done < bytes.length) {
				const count = writeSync(this.#fd, bytes, done, bytes.length - done, this.#written);
				if (count <= 0) {
					throw new ImageError("IMAGE_WRITE", `cannot write image ${this.file}: nothing more is taken`, {
						file: this.file,
						offset: this.#written,
						remedy: "check the file system of the images directory",
					});
				}
				done += count;
				this.#written += count;
			}
		} catch (error) {
			throw writeFailure(this.file, error);
		}
	}

	/**
	 * Writes out the rest and closes the file. An image that was never written is removed if an older one exists.
	 * @throws ImageError IMAGE_WRITE.
	 */
	close(): void {
		if (this.#closed) return;
		try {
			if (this.#fd >= 0) this.flush();
			else if (this.channel === undefined) removeImageFile(this.path, this.file);
		} catch (error) {
			this[Symbol.dispose]();
			throw error;
		}
		const fd = this.#fd;
		this.#fd = -1;
		this.#closed = true;
		if (this.#buffer?.length === FIRST_BUFFER_SIZE) spare.push(this.#buffer);
		this.#buffer = undefined;
		if (fd < 0) return;
		if (this.#out !== undefined) {
			this.#out.close();
			return;
		}
		try {
			closeSync(fd);
		} catch (error) {
			// Network file systems tell of a failed write only here.
			throw writeFailure(this.file, error);
		}
	}

	/** Gives up: closes the file and leaves it as it is. For the way out of a failure; never throws. */
	[Symbol.dispose](): void {
		this.#closed = true;
		if (this.#fd < 0) return;
		try {
			if (this.#out !== undefined) this.#out.abandon();
			else closeSync(this.#fd);
		} catch {
			// The failure that led here is the one to report.
		}
		this.#fd = -1;
	}
}
