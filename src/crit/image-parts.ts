// SPDX-License-Identifier: GPL-2.0-only
// Images as crit sees them: a magic that tells the kind, then messages, some with a payload. Read from the start to the
// end, also from a pipe.

import type { Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { CriuError, ImageError } from "../errors.ts";
import { decodeMessage } from "../images/decode.ts";
import { MAX_ENTRY_SIZE } from "../images/framing.ts";
import { type ImageKind, KINDS } from "../images/kinds.ts";
import { IMG_COMMON_MAGIC, IMG_SERVICE_MAGIC } from "../images/magics.ts";
import type { OpenMessage } from "../images/message-plan.ts";
import type { ByteSource } from "./byte-source.ts";

const INTACT = "take the images from an intact copy, or dump again";

function readUint32(bytes: Uint8Array): number {
	return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}

/** What begins a frame of zstd. */
const ZSTD_MAGIC = 0xfd2fb528;

/** Kinds with the same magic have the same messages; the first one gives the name. */
export function kindOfMagic(magic: number): ImageKind | undefined {
	return Object.values<ImageKind>(KINDS).find((kind) => kind.magic === magic && kind.framing !== "raw" && magic !== 0);
}

/** The kind with that name in JSON. */
export function kindOfName(name: string): ImageKind | undefined {
	const kind = Object.hasOwn(KINDS, name) ? KINDS[name as keyof typeof KINDS] : undefined;
	return kind === undefined || kind.framing === "raw" ? undefined : (kind as ImageKind);
}

/** Reads the magics; the kind of the image. @throws CriuError UNKNOWN_MAGIC, ImageError IMAGE_TRUNCATED */
export function readKind(source: ByteSource): ImageKind {
	let magic = readUint32(source.take(4, "its magic"));
	if (magic === IMG_COMMON_MAGIC || magic === IMG_SERVICE_MAGIC) magic = readUint32(source.take(4, "its magic"));
	const kind = kindOfMagic(magic);
	if (kind !== undefined) return kind;
	if (magic === ZSTD_MAGIC)
		throw new CriuError("UNKNOWN_MAGIC", `${source.name} is compressed and has no magic of an image`, {
			remedy: "of pages-N.zst, zstd -d makes pages-N.img: raw pages, which can't be shown either",
		});
	throw new CriuError("UNKNOWN_MAGIC", `Unknown magic 0x${magic.toString(16)} in ${source.name}`, {
		remedy: "raw images, such as pages-1.img and tar archives, have no magic and can't be shown",
	});
}

/** Reads the next message; undefined at the end. @throws ImageError */
export function nextMessage(source: ByteSource, schema: GenMessage<Message>): OpenMessage | undefined {
	return source.isAtEnd() ? undefined : getMessage(source, schema);
}

/** Reads a message that has to be there. @throws ImageError */
export function getMessage(source: ByteSource, schema: GenMessage<Message>): OpenMessage {
	const start = source.offset;
	const size = readUint32(source.take(4, "the size of an entry"));
	if (size > MAX_ENTRY_SIZE) {
		throw new ImageError("IMAGE_TOO_LARGE", `image ${source.name} has an entry of ${size} bytes at offset ${start}`, {
			file: source.name,
			offset: start,
			remedy: INTACT,
		});
	}
	const offset = source.offset;
	const bytes = source.take(size, `an entry of ${size} bytes`);
	return decodeMessage(schema, bytes, { file: `image ${source.name}`, offset }) as unknown as OpenMessage;
}

/** Whether the kind has a payload behind its messages, which JSON shows as `extra`. */
export function hasExtra(kind: ImageKind): boolean {
	return kind.payloadOf !== undefined || kind.nested !== undefined;
}

/** Length of the payload as it is in the file, which may be padded. */
export function paddedLength(kind: ImageKind, message: OpenMessage): number {
	return kind.payloadOf?.(message) ?? 0;
}

/** Length of the payload without padding. */
export function plainLength(kind: ImageKind, message: OpenMessage): number {
	const padded = paddedLength(kind, message);
	if (padded === 0) return 0;
	if (kind.name === "IPCNS_SEM") return Number(message["nsems"]) * 2;
	return kind.name === "IPCNS_SHM" ? Number(message["size"]) : padded;
}
