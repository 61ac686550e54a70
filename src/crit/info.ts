// SPDX-License-Identifier: GPL-2.0-only
// What kind of image a file is and how many entries it has.

import type { ImageKind } from "../images/kinds.ts";
import type { ByteSource } from "./byte-source.ts";
import { getMessage, hasExtra, nextMessage, paddedLength, readKind } from "./image-parts.ts";

const PAYLOAD = "a payload";

export interface ImageInfo {
	magic: string;
	/** Entries without the head of images that have one; 1 for a file that isn't in chunks. */
	count: number;
}

function skipExtra(source: ByteSource, kind: ImageKind, message: Parameters<typeof paddedLength>[1]): void {
	source.skip(paddedLength(kind, message), PAYLOAD);
	const { nested } = kind;
	if (nested === undefined) return;
	for (let left = nested.countOf(message); left > 0; left--) {
		source.skip(nested.payloadOf(getMessage(source, nested.schema)), PAYLOAD);
	}
}

/** Reads a whole image, of which only what tells the lengths is decoded. @throws ImageError, CriuError UNKNOWN_MAGIC */
export function readInfo(source: ByteSource): ImageInfo {
	const kind = readKind(source);
	if (kind.head !== undefined) {
		const head = nextMessage(source, kind.head as never);
		if (head !== undefined && kind.isRawAfterHead?.(head) === true) return { magic: kind.name, count: 1 };
	}
	let count = 0;
	while (!source.isAtEnd()) {
		if (hasExtra(kind)) skipExtra(source, kind, getMessage(source, kind.entry as never));
		else {
			const size = source.take(4, "the size of an entry");
			const length = new DataView(size.buffer, size.byteOffset, 4).getUint32(0, true);
			source.skip(length, `an entry of ${length} bytes`);
		}
		count++;
	}
	return { magic: kind.name, count };
}
