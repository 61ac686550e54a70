// SPDX-License-Identifier: GPL-2.0-only
// Decoder of proto2 messages that come from outside. protobuf-es' own one skips what matters for hostile input: it
// accepts missing required fields, wrong wire types and sub-messages that reach beyond their parent. This one refuses
// all three before anything large is built. The messages are those of protobuf-es.

import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { ImageError } from "../errors.ts";
import {
	type FieldPlan,
	MAX_DEPTH,
	type OpenMessage,
	planOf,
	TYPE_BOOL,
	TYPE_BYTES,
	TYPE_FIXED64,
	TYPE_INT32,
	TYPE_INT64,
	TYPE_SINT32,
	TYPE_SINT64,
	TYPE_STRING,
	TYPE_UINT32,
	TYPE_UINT64,
	WIRE_BYTES,
	WIRE_FIXED32,
	WIRE_FIXED64,
	WIRE_VARINT,
} from "./message-plan.ts";

/**
 * Most items of repeated fields in one message, all depths together; a packed number takes one byte in the image but
 * forty in memory. Enough for a thread list up to the largest pid_max.
 */
const MAX_ITEMS = 4 * 1024 * 1024;

/** Where the bytes come from, for errors. */
export interface DecodeSource {
	/** Name of the image or of the message's sender. */
	file: string;
	/** Offset of the first byte in it. */
	offset?: number;
}

let utf8: TextDecoder | undefined;
const NOTHING = new Uint8Array(0);

/** Decodes messages of one source, one after the other. */
export class MessageDecoder {
	private bytes: Uint8Array = NOTHING;
	#from = 0;
	#at = 0;
	#items = 0;
	/** High half of the last 64-bit varint. */
	#high = 0;

	/** `file`: name of the image or of the messages' sender, for errors. */
	constructor(private readonly file: string) {}

	/** As decodeMessage; `offset`: of the first byte, for errors. */
	decode<T extends Message>(schema: GenMessage<T>, bytes: Uint8Array, offset = 0): T {
		this.bytes = bytes;
		this.#from = offset;
		this.#at = 0;
		this.#items = 0;
		return this.message(schema as unknown as DescMessage, bytes.length, 0) as unknown as T;
	}

	private fail(why: string, at = this.#at): never {
		const offset = this.#from + at;
		throw new ImageError("IMAGE_CORRUPT", `${this.file} is damaged at offset ${offset}: ${why}`, {
			file: this.file,
			offset,
			remedy: "take the images from an intact copy, or dump again",
		});
	}

	/** Reads the message in [here, end). */
	private message(desc: DescMessage, end: number, depth: number, into?: OpenMessage): OpenMessage {
		if (depth > MAX_DEPTH) this.fail(`messages nested deeper than ${MAX_DEPTH}`);
		const plan = planOf(desc);
		const message = into ?? new plan.make();
		let seen = 0;
		while (this.#at < end) {
			const start = this.#at;
			const tag = this.#varint32(end);
			const field = plan.fields.get(tag >>> 3);
			if (field === undefined) {
				this.#keepUnknown(message, tag, start, end);
				continue;
			}
			seen |= field.bit;
			const wireType = tag & 7;
			if (wireType === field.wireType) this.#field(message, field, end, depth);
			else if (wireType === WIRE_BYTES && field.repeated && field.type < TYPE_BYTES) this.#packed(message, field, end);
			else this.fail(`field ${field.name} has wire type ${wireType} instead of ${field.wireType}`, start);
		}
		if (seen !== plan.required && into === undefined) this.#failMissing(desc, seen);
		return message;
	}

	#failMissing(desc: DescMessage, seen: number): never {
		const missing = planOf(desc).ordered.find((field) => (field.bit & ~seen) !== 0);
		this.fail(`required field ${missing?.name} is missing`);
	}

	#field(message: OpenMessage, field: FieldPlan, end: number, depth: number): void {
		if (field.message === undefined) {
			const value = this.#scalar(field, end);
			if (field.repeated) this.#push(message, field, value);
			else message[field.localName] = value;
			return;
		}
		const childEnd = this.#length(end);
		if (field.repeated) {
			this.#push(message, field, this.message(field.message, childEnd, depth + 1));
			return;
		}
		// A field that comes twice is merged, as protobuf demands; the first one had all that is required.
		const earlier = message[field.localName] as OpenMessage | undefined;
		message[field.localName] = this.message(field.message, childEnd, depth + 1, earlier);
	}

	#packed(message: OpenMessage, field: FieldPlan, end: number): void {
		const itemsEnd = this.#length(end);
		while (this.#at < itemsEnd) this.#push(message, field, this.#scalar(field, itemsEnd));
	}

	#push(message: OpenMessage, field: FieldPlan, value: unknown): void {
		if (++this.#items > MAX_ITEMS) this.fail(`more than ${MAX_ITEMS} items in one entry`);
		(message[field.localName] as unknown[]).push(value);
	}

	#scalar(field: FieldPlan, end: number): unknown {
		switch (field.type) {
			case TYPE_UINT32:
				return this.#varint32(end);
			case TYPE_INT32:
				return this.#varint32(end) | 0;
			case TYPE_SINT32: {
				const raw = this.#varint32(end);
				return (raw >>> 1) ^ -(raw & 1);
			}
			case TYPE_UINT64:
				return this.#varint64(end);
			case TYPE_INT64:
				return BigInt.asIntN(64, this.#varint64(end));
			case TYPE_SINT64: {
				const raw = this.#varint64(end);
				return (raw >> 1n) ^ -(raw & 1n);
			}
			case TYPE_BOOL: {
				const low = this.#varint32(end);
				return low !== 0 || this.#high !== 0;
			}
			case TYPE_STRING:
				return this.#string(end);
			case TYPE_BYTES: {
				const bytesEnd = this.#length(end);
				const value = this.bytes.slice(this.#at, bytesEnd);
				this.#at = bytesEnd;
				return value;
			}
			default:
				return this.#fixed(field.type === TYPE_FIXED64 ? 8 : 4, end);
		}
	}

	#string(end: number): string {
		const start = this.#at;
		const bytesEnd = this.#length(end);
		utf8 ??= new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
		try {
			const text = utf8.decode(this.bytes.subarray(this.#at, bytesEnd));
			this.#at = bytesEnd;
			return text;
		} catch {
			return this.fail("text is not UTF-8", start);
		}
	}

	#fixed(size: number, end: number): number | bigint {
		if (end - this.#at < size) this.fail("fixed-size value reaches beyond its message");
		const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.#at, size);
		this.#at += size;
		return size === 8 ? view.getBigUint64(0, true) : view.getUint32(0, true);
	}

	/** End of a length-delimited value. */
	#length(end: number): number {
		const start = this.#at;
		const length = this.#varint32(end);
		if (this.#high !== 0 || length > end - this.#at) this.fail(`length ${length} reaches beyond its message`, start);
		return this.#at + length;
	}

	/** Low 32 bits, unsigned, of a varint of up to ten bytes, as C reads it; the high half is kept aside. */
	#varint32(end: number): number {
		const first = this.#at < end ? this.bytes[this.#at] : undefined;
		if (first === undefined) this.fail("varint reaches beyond its message");
		if (first < 0x80) {
			this.#at++;
			this.#high = 0;
			return first;
		}
		return this.#longVarint(end);
	}

	#longVarint(end: number): number {
		const start = this.#at;
		let low = 0;
		let high = 0;
		for (let index = 0; index < 10; index++) {
			const byte = this.#at < end ? this.bytes[this.#at++] : undefined;
			if (byte === undefined) this.fail("varint reaches beyond its message", start);
			const bits = byte & 0x7f;
			if (index < 4) low |= bits << (7 * index);
			else if (index === 4) {
				low |= bits << 28;
				high = bits >>> 4;
			} else high |= bits << (7 * index - 32);
			if (byte < 0x80) {
				this.#high = high >>> 0;
				return low >>> 0;
			}
		}
		return this.fail("varint longer than ten bytes", start);
	}

	#varint64(end: number): bigint {
		const low = this.#varint32(end);
		const high = this.#high;
		// Below 2^53 the way over a double is much cheaper than shifting bigints.
		if (high < 0x200000) return BigInt(high * 0x100000000 + low);
		return (BigInt(high) << 32n) | BigInt(low);
	}

	/** Newer or foreign fields travel with the message and are written back after the known ones. */
	#keepUnknown(message: OpenMessage, tag: number, start: number, end: number): void {
		const wireType = tag & 7;
		const no = tag >>> 3;
		if (no === 0) this.fail("field number 0", start);
		const dataAt = this.#at;
		if (wireType === WIRE_VARINT) this.#varint32(end);
		else if (wireType === WIRE_BYTES) this.#at = this.#length(end);
		else if (wireType === WIRE_FIXED64) this.#fixed(8, end);
		else if (wireType === WIRE_FIXED32) this.#fixed(4, end);
		else this.fail(`wire type ${wireType}`, start);
		message.$unknown ??= [];
		message.$unknown.push({ no, wireType, data: this.bytes.slice(dataAt, this.#at) });
	}
}

/**
 * Decodes one message, of at most 4 Mi items in all its repeated fields. Bytes fields are copies. Unknown fields and unknown numbers of enums are kept.
 * @throws ImageError IMAGE_CORRUPT with the offset when the bytes are no such message.
 */
export function decodeMessage<T extends Message>(schema: GenMessage<T>, bytes: Uint8Array, source: DecodeSource): T {
	return new MessageDecoder(source.file).decode(schema, bytes, source.offset);
}
