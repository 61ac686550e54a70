// SPDX-License-Identifier: GPL-2.0-only
// Pages files that are compressed (ours): pages-N.zst in place of pages-N.img. Frames of zstd, of up to 256 KiB of pages each, and behind them a
// frame that other readers skip, with the lengths and checksums of all: what `zstd -d` makes of it is the plain file.
// Source: RFC 8878; zstd's contrib/seekable_format.

import { ImageError } from "../errors.ts";
import { type ImageDir, type ImageKind, type ImageWriter, imageFileName } from "../images/index.ts";
import { closeFd, readAt, statFd } from "../sys/file.ts";
import { writeStream } from "../sys/stream-io.ts";
import { fillingFile, makeWaitingFile } from "../sys/waiting-file.ts";

export const PAGES_ZSTD: ImageKind = {
	name: "PAGES_ZSTD",
	file: "pages-%u.zst",
	magic: 0,
	common: "none",
	framing: "raw",
};

/** Uncompressed bytes of a frame. */
export const FRAME = 256 << 10;
/** Little more is won by higher ones, and the program stands still meanwhile. */
const LEVEL = 1;
const SKIPPABLE_MAGIC = 0x184d2a5e;
const TABLE_MAGIC = 0x8f92eab1;
const HAS_CHECKSUMS = 0x80;
const HEAD = 8;
const ENTRY = 12;
const FOOTER = 9;
/** Of five terabytes of pages. */
const MAX_TABLE = 256 << 20;

const checksum = (bytes: Uint8Array) => Number(Bun.hash.xxHash64(bytes) & 0xffff_ffffn);

/** Where a frame lies and what it holds. */
export interface Frame {
	/** In the compressed file, and in the plain one. */
	readonly from: number;
	readonly at: number;
	readonly packed: number;
	readonly length: number;
	readonly checksum: number;
}

function corrupt(file: string, what: string): ImageError {
	return new ImageError("IMAGE_CORRUPT", `image ${file} is damaged: ${what}`, {
		file,
		remedy: "take the images from an intact copy, or dump again",
	});
}

/** Adds pages to a compressed file, any number at a time. */
export class FrameWriter {
	private readonly table: number[] = [];
	private readonly room = new Uint8Array(FRAME);
	private filled = 0;

	constructor(private readonly writer: ImageWriter) {}

	/** @throws ImageError IMAGE_WRITE */
	put(bytes: Uint8Array): void {
		for (let done = 0; done < bytes.length; ) {
			const part = bytes.subarray(done, done + FRAME - this.filled);
			this.room.set(part, this.filled);
			this.filled += part.length;
			done += part.length;
			if (this.filled === FRAME) this.flush();
		}
	}

	private flush(): void {
		if (this.filled === 0) return;
		const plain = this.room.subarray(0, this.filled);
		const packed = Bun.zstdCompressSync(plain, { level: LEVEL });
		this.writer.writePayload(packed);
		this.table.push(packed.length, plain.length, checksum(plain));
		this.filled = 0;
	}

	/** Writes the table. @throws ImageError IMAGE_WRITE */
	finish(): void {
		this.flush();
		const table = Uint32Array.from(this.table);
		const bytes = new Uint8Array(HEAD + table.byteLength + FOOTER);
		const view = new DataView(bytes.buffer);
		view.setUint32(0, SKIPPABLE_MAGIC, true);
		view.setUint32(4, table.byteLength + FOOTER, true);
		bytes.set(new Uint8Array(table.buffer), HEAD);
		view.setUint32(HEAD + table.byteLength, table.length / 3, true);
		view.setUint8(HEAD + table.byteLength + 4, HAS_CHECKSUMS);
		view.setUint32(HEAD + table.byteLength + 5, TABLE_MAGIC, true);
		this.writer.writePayload(bytes);
	}
}

/** The table of a file of that size; `read` gives a part of it. @throws ImageError IMAGE_CORRUPT */
export function readTable(file: string, size: number, read: (at: number, length: number) => Uint8Array): Frame[] {
	const part = (at: number, length: number) => {
		const bytes = read(at, length);
		if (bytes.length !== length) throw corrupt(file, "it ends too early");
		return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	};
	if (size < HEAD + FOOTER) throw corrupt(file, "it ends too early");
	const footer = part(size - FOOTER, FOOTER);
	const count = footer.getUint32(0, true);
	if (footer.getUint32(5, true) !== TABLE_MAGIC || footer.getUint8(4) !== HAS_CHECKSUMS)
		throw corrupt(file, "it doesn't end with a table of its frames");
	const bytes = count * ENTRY;
	const start = size - FOOTER - bytes - HEAD;
	if (bytes > MAX_TABLE || start < 0) throw corrupt(file, `a table of ${count} frames`);
	const table = part(start, HEAD + bytes);
	if (table.getUint32(0, true) !== SKIPPABLE_MAGIC || table.getUint32(4, true) !== bytes + FOOTER)
		throw corrupt(file, "its table has no head");
	const frames: Frame[] = [];
	let [from, at] = [0, 0];
	for (let i = HEAD; i < HEAD + bytes; i += ENTRY) {
		const [packed, length] = [table.getUint32(i, true), table.getUint32(i + 4, true)];
		if (packed === 0 || length === 0 || length > FRAME) throw corrupt(file, `a frame of ${length} bytes`);
		frames.push({ from, at, packed, length, checksum: table.getUint32(i + 8, true) });
		from += packed;
		at += length;
	}
	if (from !== start) throw corrupt(file, "its table doesn't tell of all that is in it");
	return frames;
}

/** A compressed pages file that is read. Use with `using`. */
export class CompressedPages {
	private readonly frames: readonly Frame[];
	/** Bytes of the plain file. */
	readonly size: number;

	private constructor(
		private readonly fd: number,
		private readonly file: string,
	) {
		this.frames = readTable(file, Number(statFd(fd).size), (at, length) => readAt(fd, length, at));
		const last = this.frames[this.frames.length - 1];
		this.size = last === undefined ? 0 : last.at + last.length;
	}

	/** Undefined when these pages aren't compressed. @throws ImageError */
	static open(dir: ImageDir, pagesId: number): CompressedPages | undefined {
		const file = imageFileName(PAGES_ZSTD, pagesId);
		const fd = dir.isStreamed ? undefined : dir.openFile(file);
		if (fd === undefined) return undefined;
		try {
			return new CompressedPages(fd, file);
		} catch (error) {
			closeFd(fd);
			throw error;
		}
	}

	private unpack({ from, packed, length, checksum: wanted }: Frame): Uint8Array {
		let plain: Uint8Array;
		try {
			// Loaded when it's needed: few runs need it.
			const { zstdDecompressSync, constants } = process.getBuiltinModule("node:zlib");
			plain = zstdDecompressSync(readAt(this.fd, packed, from), {
				chunkSize: FRAME,
				maxOutputLength: length,
				params: { [constants.ZSTD_d_windowLogMax]: 20 },
			});
		} catch (error) {
			throw corrupt(this.file, `the frame at offset ${from}: ${(error as Error).message}`);
		}
		if (plain.length !== length || checksum(plain) !== wanted)
			throw corrupt(this.file, `the frame at offset ${from} isn't what was written`);
		return plain;
	}

	/** The content from an offset on; less at its end. @throws ImageError IMAGE_CORRUPT */
	read(offset: number, length: number): Uint8Array {
		const parts: Uint8Array[] = [];
		for (const frame of this.frames)
			if (frame.at < offset + length && frame.at + frame.length > offset)
				parts.push(
					this.unpack(frame).subarray(Math.max(0, offset - frame.at), Math.max(0, offset + length - frame.at)),
				);
		return Buffer.concat(parts);
	}

	/**
	 * Makes the plain file, without a name; `places`: where it may lie. The caller closes it.
	 *
	 * @throws ImageError IMAGE_CORRUPT, KernelError, CriuError NO_ROOM_FOR_PAGES
	 */
	inflate(places: readonly string[]): number {
		const fd = makeWaitingFile(this.file, this.size, places);
		try {
			for (const frame of this.frames) {
				const plain = this.unpack(frame);
				fillingFile(this.file, () => writeStream(fd, plain));
			}
			return fd;
		} catch (error) {
			closeFd(fd);
			throw error;
		}
	}

	[Symbol.dispose](): void {
		closeFd(this.fd);
	}
}
