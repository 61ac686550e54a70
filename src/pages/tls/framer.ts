// SPDX-License-Identifier: GPL-2.0-only
// Where records of TLS have to begin and end: CRIU reads pages record by record, so that one that holds a header and pages, or the
// ends of two runs of pages, would be too long for it. Headers are records of their own; pages come in records of 16 KiB, counted
// from the first page behind a header.

import { PE_PRESENT } from "../pagemap.ts";
import * as wire from "../wire.ts";

const RECORD = 16384;
const PAGE = 4096n;
const WORD = 4;

/** What a side says: a dump or a lazy-pages daemon questions, with or without pages; a giver of lazy pages these; a receiver answers. */
export type Speech = "questions" | "pages" | "answers";

export class Framer {
	private readonly held = new Uint8Array(wire.LONG_HEADER);
	private readonly view = new DataView(this.held.buffer);
	private have = 0;
	/** Bytes of pages that are still to come behind the last header. */
	private left = 0;
	private inRecord = 0;
	private isFirst = true;
	private size: wire.HeaderSize | undefined;

	constructor(private readonly speech: Speech) {}

	/** The bytes of records, in their order, as far as they are whole. */
	*split(bytes: Uint8Array): Generator<Uint8Array> {
		if (this.speech === "answers") {
			yield bytes;
			return;
		}
		for (let at = 0; at < bytes.length; ) {
			if (this.left > 0) {
				const part = Math.min(this.left, bytes.length - at, RECORD - this.inRecord);
				yield bytes.subarray(at, at + part);
				at += part;
				this.left -= part;
				this.inRecord = (this.inRecord + part) % RECORD;
				continue;
			}
			this.held[this.have++] = bytes[at++] ?? 0;
			if (this.have < this.length()) continue;
			yield this.held.slice(0, this.have);
			this.begin();
		}
	}

	/** How many bytes the message has that is being held, as far as it can be known by now. */
	private length(): number {
		if (this.speech === "pages") return this.lengthOfAnswer();
		if (this.isFirst) return wire.SHORT_HEADER;
		if (this.size === undefined && this.have >= WORD) {
			const isRest = this.view.getUint32(0, true) === Number(wire.NO_TARGET);
			this.size = isRest ? wire.LONG_HEADER : wire.SHORT_HEADER;
			// The first question was of the short form: the end of the long one follows it.
			if (isRest) return wire.LONG_HEADER - wire.SHORT_HEADER;
		}
		const isRest = this.size === wire.LONG_HEADER && this.view.getUint32(0, true) === Number(wire.NO_TARGET);
		return isRest ? wire.LONG_HEADER - wire.SHORT_HEADER : (this.size ?? WORD + 1);
	}

	private lengthOfAnswer(): number {
		if (this.have < WORD || !this.hasPages()) return WORD;
		if (this.have < 2 * WORD) return 2 * WORD;
		// The count of pages is there in the short form, a gap in the long one.
		this.size = this.view.getUint32(WORD, true) === 0 ? wire.LONG_HEADER : wire.SHORT_HEADER;
		return this.size;
	}

	private hasPages(): boolean {
		const word = this.view.getUint32(0, true);
		const command = word & 0xffff;
		return command === wire.PS_ADD || (command === wire.PS_ADD_F && ((word >>> 16) & PE_PRESENT) !== 0);
	}

	/** What is held was a whole message. */
	private begin(): void {
		const { have, size } = this;
		this.have = 0;
		this.isFirst = false;
		if (have !== size || !this.hasPages()) return;
		this.left = Number(wire.readHeader(this.view, size).pages * PAGE);
		this.inRecord = 0;
	}
}
