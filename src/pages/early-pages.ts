// SPDX-License-Identifier: GPL-2.0-only
// Pages that a restore has to see before it does anything (the vdso, heads of rings), sent ahead of all pages in a stream of images.
// Image: early-pages-PID (ours), of records [u64 address] [u64 length] bytes.

import { ImageError } from "../errors.ts";
import { type ImageDir, type ImageKind, imageFileName } from "../images/index.ts";
import { readAt, scopedFd, statFd } from "../sys/file.ts";

export const EARLY_PAGES: ImageKind = {
	name: "PAGES_EARLY",
	file: "early-pages-%u",
	magic: 0,
	common: "none",
	framing: "raw",
};

const MAX_LENGTH = 64n << 20n;
const HEAD = 16;

/** Memory as it was, from an address on. */
export interface EarlyPages {
	readonly start: bigint;
	readonly bytes: Uint8Array;
}

export function encodeEarly(start: bigint, bytes: Uint8Array): Uint8Array {
	const record = new Uint8Array(HEAD + bytes.length);
	record.set(new Uint8Array(BigUint64Array.of(start, BigInt(bytes.length)).buffer));
	record.set(bytes, HEAD);
	return record;
}

/** What was sent ahead of a task's pages. @throws ImageError */
export function readEarly(dir: ImageDir, pid: number): EarlyPages[] {
	const file = imageFileName(EARLY_PAGES, pid);
	const opened = dir.openFile(file);
	if (opened === undefined) return [];
	using image = scopedFd(opened);
	const { size } = statFd(image.fd);
	const corrupt = (what: string) =>
		new ImageError("IMAGE_CORRUPT", `${file}: ${what}`, { file, remedy: "dump again; the images were damaged" });
	if (size > MAX_LENGTH) throw corrupt(`${size} bytes`);
	const bytes = readAt(image.fd, Number(size), 0);
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	const found: EarlyPages[] = [];
	for (let at = 0; at < bytes.length; ) {
		if (at + HEAD > bytes.length) throw corrupt("it ends in a record");
		const [start, length] = [view.getBigUint64(at, true), view.getBigUint64(at + 8, true)];
		if (length > BigInt(bytes.length - at - HEAD)) throw corrupt("it ends in a record");
		found.push({ start, bytes: bytes.subarray(at + HEAD, at + HEAD + Number(length)) });
		at += HEAD + Number(length);
	}
	return found;
}
