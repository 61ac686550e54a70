// SPDX-License-Identifier: GPL-2.0-only
// Reads an image, message by message, and writes all of it to another directory.

import { readSync } from "node:fs";
import { findKindOfFile, type ImageDir } from "../../src/images/index.ts";

const CHUNK = 64 * 1024;

/** Copies one image through decoder and encoder; its number of messages. Undefined for a file that is no image. */
export function rewriteImage(from: ImageDir, to: ImageDir, name: string): number | undefined {
	const found = findKindOfFile(name);
	if (found === undefined) return undefined;
	using reader = from.getReader(found.kind, found.id);
	using writer = to.writer(found.kind, found.id);
	writer.touch();
	let messages = 0;
	for (const { schema, message, payload } of reader.records()) {
		if (schema !== undefined && message !== undefined) {
			writer.writeMessage(schema, message);
			messages++;
		}
		for (let done = 0; payload !== undefined && done < payload.length; ) {
			const chunk = new Uint8Array(Math.min(CHUNK, payload.length - done));
			done += readSync(payload.fd, chunk, 0, chunk.length, payload.offset + done);
			writer.writePayload(chunk);
		}
	}
	writer.close();
	return messages;
}
