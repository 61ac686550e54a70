// SPDX-License-Identifier: GPL-2.0-only
// Encoder of proto2 messages. Fields go out in the order of their numbers and repeated ones unpacked, as protobuf-c
// writes them, so that images equal CRIU's byte for byte. protobuf-es' own encoder gives the same bytes but spends
// 2 to 4 ms on compiling itself for the first core or files entry of a process, which is a good part of a small dump.
// Written from the end to the start, so that the length of a sub-message is known when it has to be written.

import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { BugError } from "../errors.ts";
import {
	type FieldPlan,
	MAX_DEPTH,
	type OpenMessage,
	planOf,
	TYPE_BOOL,
	TYPE_BYTES,
	TYPE_FIXED32,
	TYPE_FIXED64,
	TYPE_INT32,
	TYPE_INT64,
	TYPE_SINT32,
	TYPE_SINT64,
	TYPE_STRING,
	TYPE_UINT32,
	TYPE_UINT64,
} from "./message-plan.ts";

const FIRST_SIZE = 1024;
const UINT32_MAX = 0xffffffff;
const SAFE_MAX = 0x1fffffffffffffn;
const UINT64_MAX = 0xffffffffffffffffn;
const INT64_MAX = 0x7fffffffffffffffn;
const INT64_MIN = -0x8000000000000000n;

let utf8: TextEncoder | undefined;

function fail(field: FieldPlan, value: unknown): never {
	throw new BugError(`cannot encode ${field.name}: bad value ${String(value)} of type ${typeof value}`);
}

class Encoder {
	#bytes = new Uint8Array(FIRST_SIZE);
	/** Start of what is written; it grows downwards. */
	#at = FIRST_SIZE;

	/** Begins anew, with the room there is. */
	reset(): void {
		this.#at = this.#bytes.length;
	}

	/** A view of what is written. */
	view(): Uint8Array {
		return this.#bytes.subarray(this.#at);
	}

	/** Bytes written so far. */
	get length(): number {
		return this.#bytes.length - this.#at;
	}

	/** The length of what is written, four bytes before it. */
	size32(): void {
		const length = this.length;
		const at = this.#reserve(4);
		const bytes = this.#bytes;
		for (let i = 0; i < 4; i++) bytes[at + i] = length >>> (8 * i);
	}

	finish(): Uint8Array {
		return this.#bytes.slice(this.#at);
	}

	/** Makes room for `length` more bytes before what is written; returns where they start. */
	#reserve(length: number): number {
		if (length > this.#at) {
			const used = this.#bytes.length - this.#at;
			const grown = new Uint8Array(Math.max(this.#bytes.length * 2, used + length));
			grown.set(this.#bytes.subarray(this.#at), grown.length - used);
			this.#at = grown.length - used;
			this.#bytes = grown;
		}
		this.#at -= length;
		return this.#at;
	}

	message(desc: DescMessage, message: OpenMessage, depth: number): void {
		if (message.$typeName !== desc.typeName) {
			throw new BugError(`cannot encode a ${message.$typeName} where a ${desc.typeName} is wanted`);
		}
		if (depth > MAX_DEPTH) throw new BugError(`cannot encode messages nested deeper than ${MAX_DEPTH}`);
		const unknown = message.$unknown ?? [];
		for (let index = unknown.length - 1; index >= 0; index--) {
			const { no, wireType, data } = unknown[index] as (typeof unknown)[number];
			this.#raw(data);
			this.#varint32(no * 8 + wireType);
		}
		const { ordered } = planOf(desc);
		for (let index = ordered.length - 1; index >= 0; index--) {
			const field = ordered[index] as FieldPlan;
			const value = message[field.localName];
			if (field.repeated) {
				const items = value as unknown[];
				for (let item = items.length - 1; item >= 0; item--) this.#field(field, items[item], depth);
			} else if (value !== undefined && Object.hasOwn(message, field.localName)) this.#field(field, value, depth);
			else if (field.bit !== 0) throw new BugError(`cannot encode ${field.name}: it is required and not set`);
		}
	}

	#field(field: FieldPlan, value: unknown, depth: number): void {
		const shared =
			anyShared && field.message !== undefined ? encodingOf(field.message, value as OpenMessage) : undefined;
		if (shared !== undefined) {
			this.#raw(shared);
			this.#varint32(shared.length);
		} else if (field.message !== undefined) {
			const end = this.#bytes.length - this.#at;
			this.message(field.message, value as OpenMessage, depth + 1);
			this.#varint32(this.#bytes.length - this.#at - end);
		} else if (typeof value === "number") this.#number(field, value);
		else if (typeof value === "bigint") this.#bigint(field, value);
		else this.#other(field, value);
		this.#varint32(field.tag);
	}

	#number(field: FieldPlan, value: number): void {
		switch (field.type) {
			case TYPE_UINT32:
				if (value >>> 0 !== value) fail(field, value);
				this.#varint32(value);
				break;
			case TYPE_INT32:
				if ((value | 0) !== value) fail(field, value);
				if (value >= 0) this.#varint32(value);
				else this.#varint64(value >>> 0, UINT32_MAX);
				break;
			case TYPE_SINT32:
				if ((value | 0) !== value) fail(field, value);
				this.#varint32(((value << 1) ^ (value >> 31)) >>> 0);
				break;
			case TYPE_FIXED32: {
				if (value >>> 0 !== value) fail(field, value);
				const at = this.#reserve(4);
				new DataView(this.#bytes.buffer).setUint32(at, value, true);
				break;
			}
			default:
				fail(field, value);
		}
	}

	#bigint(field: FieldPlan, value: bigint): void {
		switch (field.type) {
			case TYPE_UINT64:
				if (value < 0n || value > UINT64_MAX) fail(field, value);
				this.#uint64(value);
				break;
			case TYPE_INT64:
				if (value < INT64_MIN || value > INT64_MAX) fail(field, value);
				this.#uint64(value < 0n ? BigInt.asUintN(64, value) : value);
				break;
			case TYPE_SINT64:
				if (value < INT64_MIN || value > INT64_MAX) fail(field, value);
				this.#uint64(value < 0n ? -2n * value - 1n : 2n * value);
				break;
			case TYPE_FIXED64: {
				if (value < 0n || value > UINT64_MAX) fail(field, value);
				const at = this.#reserve(8);
				new DataView(this.#bytes.buffer).setBigUint64(at, value, true);
				break;
			}
			default:
				fail(field, value);
		}
	}

	#other(field: FieldPlan, value: unknown): void {
		if (field.type === TYPE_BOOL && typeof value === "boolean") {
			this.#varint32(value ? 1 : 0);
			return;
		}
		utf8 ??= new TextEncoder();
		const bytes = field.type === TYPE_STRING && typeof value === "string" ? utf8.encode(value) : value;
		if (!(bytes instanceof Uint8Array) || (bytes === value && field.type !== TYPE_BYTES)) fail(field, value);
		this.#raw(bytes);
		this.#varint32(bytes.length);
	}

	#raw(bytes: Uint8Array): void {
		const at = this.#reserve(bytes.length);
		this.#bytes.set(bytes, at);
	}

	#varint32(value: number): void {
		if (value < 0x80) {
			// In two steps: making room can replace the buffer.
			const at = this.#reserve(1);
			this.#bytes[at] = value;
			return;
		}
		const length = value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
		const at = this.#reserve(length);
		const bytes = this.#bytes;
		for (let index = 0; index < length - 1; index++) bytes[at + index] = ((value >>> (7 * index)) & 0x7f) | 0x80;
		bytes[at + length - 1] = value >>> (7 * (length - 1));
	}

	#uint64(value: bigint): void {
		// Below 2^53 the way over a double is much cheaper than shifting bigints.
		if (value <= SAFE_MAX) {
			const number = Number(value);
			const high = Math.floor(number / 0x100000000);
			this.#varint64(number - high * 0x100000000, high);
		} else this.#varint64(Number(value & 0xffffffffn), Number(value >> 32n));
	}

	#varint64(low: number, high: number): void {
		if (high === 0) {
			this.#varint32(low);
			return;
		}
		const bits = 64 - Math.clz32(high);
		const length = Math.ceil(bits / 7);
		const at = this.#reserve(length);
		const bytes = this.#bytes;
		// Groups of seven bits: four whole ones in the low half, one over the border, the rest in the high half.
		for (let index = 0; index < length; index++) {
			const group =
				index < 4 ? low >>> (7 * index) : index === 4 ? (low >>> 28) | (high << 4) : high >>> (7 * index - 32);
			bytes[at + index] = (group & 0x7f) | (index === length - 1 ? 0 : 0x80);
		}
	}
}

let anyShared = false;
/** Encodings of messages that others hold again and again; undefined until it's asked for. */
const sharedEncodings = new WeakMap<object, Uint8Array | undefined>();

/** Marks a message that many others will hold: it's encoded once, and can't be changed any more. Gives it back. */
export function shareMessage<T extends Message>(message: T): T {
	anyShared = true;
	sharedEncodings.set(Object.freeze(message), undefined);
	return message;
}

function encodingOf(desc: DescMessage, message: OpenMessage): Uint8Array | undefined {
	const known = sharedEncodings.get(message);
	if (known !== undefined || !sharedEncodings.has(message)) return known;
	const encoder = new Encoder();
	encoder.message(desc, message, 0);
	const bytes = encoder.finish();
	sharedEncodings.set(message, bytes);
	return bytes;
}

/**
 * Bytes of one message.
 * @throws BugError when a required field is not set, or when a value is not of the type or range of its field.
 */
export function encodeMessage<T extends Message>(schema: GenMessage<T>, message: T): Uint8Array {
	const encoder = new Encoder();
	encoder.message(schema as unknown as DescMessage, message as unknown as OpenMessage, 0);
	return encoder.finish();
}

let framer: Encoder | undefined;
/** A buffer that has once been larger isn't kept. */
const MAX_KEPT = 256 * 1024;

/**
 * The same with its length before it, 32 bits, as images hold entries: a view that is valid until the next call.
 * @throws BugError as `encodeMessage`
 */
export function encodeFramed<T extends Message>(schema: GenMessage<T>, message: T): Uint8Array {
	const encoder = framer ?? new Encoder();
	encoder.reset();
	encoder.message(schema as unknown as DescMessage, message as unknown as OpenMessage, 0);
	encoder.size32();
	framer = encoder.length > MAX_KEPT ? undefined : encoder;
	return encoder.view();
}

/** Whether a field is set: reading one that is absent gives its default, so values alone do not tell. */
export function hasField<T extends Message>(message: T, field: Exclude<keyof T, "$typeName" | "$unknown">): boolean {
	return Object.hasOwn(message, field) && message[field] !== undefined;
}
