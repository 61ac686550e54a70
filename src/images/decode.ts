// SPDX-License-Identifier: GPL-2.0-only
// Decoder of proto2 messages that come from outside. protobuf-es' own one skips what matters for hostile input: it
// accepts missing required fields, wrong wire types and sub-messages that reach beyond their parent. This one refuses
// all three before anything large is built. The messages are those of protobuf-es.

import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { create, ScalarType } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { BugError, ImageError } from "../errors.ts";

/** Deepest nesting of messages; CRIU's own stay below 10 but for group trees and AppArmor namespaces. */
const MAX_DEPTH = 100;

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

/** How the value of a field is read. */
const READ_UINT32 = 0;
const READ_INT32 = 1;
const READ_SINT32 = 2;
const READ_UINT64 = 3;
const READ_INT64 = 4;
const READ_SINT64 = 5;
const READ_BOOL = 6;
const READ_FIXED32 = 7;
const READ_FIXED64 = 8;
const READ_BYTES = 9;
const READ_STRING = 10;
const READ_MESSAGE = 11;

const SCALAR_READS: Partial<Record<ScalarType, number>> = {
	[ScalarType.UINT32]: READ_UINT32,
	[ScalarType.INT32]: READ_INT32,
	[ScalarType.SINT32]: READ_SINT32,
	[ScalarType.UINT64]: READ_UINT64,
	[ScalarType.INT64]: READ_INT64,
	[ScalarType.SINT64]: READ_SINT64,
	[ScalarType.BOOL]: READ_BOOL,
	[ScalarType.FIXED32]: READ_FIXED32,
	[ScalarType.FIXED64]: READ_FIXED64,
	[ScalarType.BYTES]: READ_BYTES,
	[ScalarType.STRING]: READ_STRING,
};

interface FieldPlan {
	readonly name: string;
	readonly localName: string;
	readonly read: number;
	readonly wireType: number;
	readonly repeated: boolean;
	/** Bit of a required field in the set of those seen; 0 for others. */
	readonly bit: number;
	readonly message: DescMessage | undefined;
}

interface MessagePlan {
	readonly fields: readonly (FieldPlan | undefined)[];
	/** All bits of required fields. */
	readonly required: number;
}

/** Where the bytes come from, for errors. */
export interface DecodeSource {
	/** Name of the image or of the message's sender. */
	file: string;
	/** Offset of the first byte in it. */
	offset?: number;
}

type OpenMessage = Message & Record<string, unknown>;

const plans = new WeakMap<DescMessage, MessagePlan>();
let utf8: TextDecoder | undefined;

function wireTypeOf(read: number): number {
	if (read >= READ_BYTES) return WIRE_BYTES;
	if (read === READ_FIXED64) return WIRE_FIXED64;
	return read === READ_FIXED32 ? WIRE_FIXED32 : WIRE_VARINT;
}

function planField(field: DescField, bit: number): FieldPlan {
	const read =
		field.message !== undefined
			? READ_MESSAGE
			: field.enum !== undefined
				? READ_INT32
				: SCALAR_READS[field.scalar ?? ScalarType.DOUBLE];
	if (read === undefined) throw new BugError(`no decoder for the type of ${field}`);
	return {
		name: `${field.parent.typeName}.${field.name}`,
		localName: field.localName,
		read,
		wireType: wireTypeOf(read),
		repeated: field.fieldKind === "list",
		bit,
		message: field.message,
	};
}

function planOf(desc: DescMessage): MessagePlan {
	const known = plans.get(desc);
	if (known !== undefined) return known;
	const fields: (FieldPlan | undefined)[] = [];
	let next = 1;
	// LEGACY_REQUIRED of google.protobuf.FeatureSet.FieldPresence; its enum would load descriptor.proto.
	const LEGACY_REQUIRED = 3;
	for (const field of desc.fields) {
		const bit = field.presence === LEGACY_REQUIRED ? next : 0;
		if (bit !== 0) next *= 2;
		fields[field.number] = planField(field, bit);
	}
	if (next > 2 ** 31) throw new BugError(`too many required fields in ${desc.typeName}`);
	const plan = { fields, required: next - 1 };
	plans.set(desc, plan);
	return plan;
}

class Decoder {
	#at = 0;
	/** High half of the last 64-bit varint. */
	#high = 0;

	constructor(
		private readonly bytes: Uint8Array,
		private readonly source: DecodeSource,
	) {}

	fail(why: string, at = this.#at): never {
		const offset = (this.source.offset ?? 0) + at;
		throw new ImageError("IMAGE_CORRUPT", `${this.source.file} is damaged at offset ${offset}: ${why}`, {
			file: this.source.file,
			offset,
			remedy: "take the images from an intact copy, or dump again",
		});
	}

	/** Reads the message in [here, end). */
	message(desc: DescMessage, end: number, depth: number, into?: OpenMessage): OpenMessage {
		if (depth > MAX_DEPTH) this.fail(`messages nested deeper than ${MAX_DEPTH}`);
		const plan = planOf(desc);
		const message = into ?? (create(desc) as OpenMessage);
		let seen = 0;
		while (this.#at < end) {
			const start = this.#at;
			const tag = this.#varint32(end);
			const field = plan.fields[tag >>> 3];
			if (field === undefined) {
				this.#keepUnknown(message, tag, start, end);
				continue;
			}
			seen |= field.bit;
			const wireType = tag & 7;
			if (wireType === field.wireType) this.#field(message, field, end, depth);
			else if (wireType === WIRE_BYTES && field.repeated && field.read < READ_BYTES) this.#packed(message, field, end);
			else this.fail(`field ${field.name} has wire type ${wireType} instead of ${field.wireType}`, start);
		}
		if (seen !== plan.required && into === undefined) this.#failMissing(desc, seen);
		return message;
	}

	#failMissing(desc: DescMessage, seen: number): never {
		const missing = planOf(desc).fields.find((field) => field !== undefined && (field.bit & ~seen) !== 0);
		this.fail(`required field ${missing?.name} is missing`);
	}

	#field(message: OpenMessage, field: FieldPlan, end: number, depth: number): void {
		if (field.message === undefined) {
			const value = this.#scalar(field, end);
			if (field.repeated) (message[field.localName] as unknown[]).push(value);
			else message[field.localName] = value;
			return;
		}
		const childEnd = this.#length(end);
		if (field.repeated) {
			(message[field.localName] as unknown[]).push(this.message(field.message, childEnd, depth + 1));
			return;
		}
		// A field that comes twice is merged, as protobuf demands; the first one had all that is required.
		const earlier = message[field.localName] as OpenMessage | undefined;
		message[field.localName] = this.message(field.message, childEnd, depth + 1, earlier);
	}

	#packed(message: OpenMessage, field: FieldPlan, end: number): void {
		const items = message[field.localName] as unknown[];
		const itemsEnd = this.#length(end);
		while (this.#at < itemsEnd) items.push(this.#scalar(field, itemsEnd));
	}

	#scalar(field: FieldPlan, end: number): unknown {
		switch (field.read) {
			case READ_UINT32:
				return this.#varint32(end);
			case READ_INT32:
				return this.#varint32(end) | 0;
			case READ_SINT32: {
				const raw = this.#varint32(end);
				return (raw >>> 1) ^ -(raw & 1);
			}
			case READ_UINT64:
				return this.#varint64(end);
			case READ_INT64:
				return BigInt.asIntN(64, this.#varint64(end));
			case READ_SINT64: {
				const raw = this.#varint64(end);
				return (raw >> 1n) ^ -(raw & 1n);
			}
			case READ_BOOL: {
				const low = this.#varint32(end);
				return low !== 0 || this.#high !== 0;
			}
			case READ_STRING:
				return this.#string(end);
			case READ_BYTES: {
				const bytesEnd = this.#length(end);
				const value = this.bytes.slice(this.#at, bytesEnd);
				this.#at = bytesEnd;
				return value;
			}
			default:
				return this.#fixed(field.read === READ_FIXED64 ? 8 : 4, end);
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
 * Decodes one message. Bytes fields are copies. Unknown fields and unknown numbers of enums are kept.
 * @throws ImageError IMAGE_CORRUPT with the offset when the bytes are no such message.
 */
export function decodeMessage<T extends Message>(schema: GenMessage<T>, bytes: Uint8Array, source: DecodeSource): T {
	const decoder = new Decoder(bytes, source);
	return decoder.message(schema as unknown as DescMessage, bytes.length, 0) as unknown as T;
}

