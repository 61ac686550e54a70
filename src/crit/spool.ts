// SPDX-License-Identifier: GPL-2.0-only
// A payload on its way from JSON, where it may stand before what belongs in front of it. Small ones stay in memory.

import { closeSync, readSync } from "node:fs";
import type { ByteSink } from "./byte-sink.ts";
import { openNameless, writeFully } from "./byte-source.ts";

const MAX_IN_MEMORY = 8 * 1024 * 1024;
const PIECE = 256 * 1024;

export class Spool {
	#parts: Uint8Array[] = [];
	#fd = -1;
	length = 0;

	constructor(private readonly folder: string | undefined) {}

	write(bytes: Uint8Array): void {
		this.length += bytes.length;
		if (this.#fd < 0 && this.length > MAX_IN_MEMORY) {
			this.#fd = openNameless(this.folder);
			for (const part of this.#parts) writeFully(this.#fd, part);
			this.#parts = [];
		}
		if (this.#fd < 0) this.#parts.push(bytes);
		else writeFully(this.#fd, bytes);
	}

	/** Writes all of it to a sink. */
	pour(sink: ByteSink): void {
		for (const part of this.#parts) sink.write(part);
		if (this.#fd < 0) return;
		const buffer = new Uint8Array(PIECE);
		let at = 0;
		for (let count = 1; count > 0; at += count) {
			count = readSync(this.#fd, buffer, 0, PIECE, at);
			sink.write(buffer.subarray(0, count));
		}
	}

	[Symbol.dispose](): void {
		if (this.#fd >= 0) closeSync(this.#fd);
		this.#fd = -1;
	}
}
