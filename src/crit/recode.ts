// SPDX-License-Identifier: GPL-2.0-only
// `crit recode`: an image to JSON and back, compared with what it was. It proves that nothing gets lost on the way.

import { closeSync } from "node:fs";
import { ByteSink, type DisposableSink } from "./byte-sink.ts";
import { ByteSource, openNameless, writeFully } from "./byte-source.ts";
import { decodeImage } from "./decode.ts";
import { encodeImage } from "./encode.ts";

class NamelessSink extends ByteSink {
	constructor(private readonly fd: number) {
		super();
	}

	protected put(bytes: Uint8Array): void {
		writeFully(this.fd, bytes);
	}
}

/** Compares what is written with a source, and passes it on. */
class ComparingSink extends ByteSink {
	#at = 0;
	/** Offset of the first byte that differs. */
	difference: number | undefined;

	constructor(
		private readonly original: ByteSource,
		private readonly copy: ByteSink | undefined,
	) {
		super();
	}

	protected put(bytes: Uint8Array): void {
		this.copy?.write(bytes);
		for (let done = 0; done < bytes.length && this.difference === undefined; ) {
			const window = this.original.peekWindow();
			const length = Math.min(window.length, bytes.length - done);
			const part = bytes.subarray(done, done + length);
			if (length === 0) this.difference = this.#at;
			else if (Buffer.compare(part, window.subarray(0, length)) !== 0) {
				this.difference = this.#at + part.findIndex((byte, at) => byte !== window[at]);
			}
			this.original.advance(length);
			this.#at += length;
			done += length;
		}
	}

	override close(): void {
		super.close();
		if (this.difference === undefined && !this.original.isAtEnd()) this.difference = this.#at;
	}
}

/**
 * Recodes the image `path` through JSON of the plain or pretty form, with all fields. Gives the offset of the first
 * difference, or undefined when all bytes are the same.
 * @throws ImageError, CriuError as decode and encode do
 */
export function recodeImage(path: string, pretty: boolean, out?: DisposableSink): number | undefined {
	const fd = openNameless();
	let isTaken = false;
	try {
		const json = new NamelessSink(fd);
		using source = ByteSource.open(path);
		decodeImage(source, json, { pretty, noPayload: false, extensions: true });
		json.close();
		using text = ByteSource.fromFd(fd, `JSON of ${path}`);
		isTaken = true;
		using original = ByteSource.open(path);
		const sink = new ComparingSink(original, out);
		encodeImage(text, sink);
		sink.close();
		out?.close();
		return sink.difference;
	} finally {
		if (!isTaken) closeSync(fd);
	}
}
