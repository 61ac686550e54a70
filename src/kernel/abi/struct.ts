// SPDX-License-Identifier: GPL-2.0-only
// Describes a C struct once: name, size, and per field type and offset. Reading and writing go through a DataView,
// always little endian; c-check.ts holds every description against the real headers.

export type IntType = "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64";

/** `[type, offset]`, `[type, offset, count]` for an array, `["bytes", offset, length]`, or a struct inside a struct. */
export type FieldSpec =
	| readonly [type: IntType, offset: number]
	| readonly [type: IntType, offset: number, count: number]
	| readonly [type: "bytes", offset: number, length: number]
	| readonly [type: AnyStruct, offset: number];

type IntValue<T> = T extends "u64" | "i64" ? bigint : number;

/** What a field reads as: number up to 32 bits, bigint for 64, Uint8Array for bytes, an array, or an inner value. */
export type FieldValue<S> = S extends readonly ["bytes", number, number]
	? Uint8Array
	: S extends readonly [infer T extends IntType, number, number]
		? IntValue<T>[]
		: S extends readonly [infer T extends IntType, number]
			? IntValue<T>
			: S extends readonly [Struct<infer F>, number]
				? Value<F>
				: never;

type FieldInput<S> = S extends readonly [Struct<infer F>, number]
	? Input<F>
	: S extends readonly [infer T extends IntType, number, number]
		? ArrayLike<IntValue<T>>
		: FieldValue<S>;

type Fields = Readonly<Record<string, FieldSpec>>;
type Value<F> = { -readonly [K in keyof F]: FieldValue<F[K]> };
type Input<F> = { readonly [K in keyof F]?: FieldInput<F[K]> | undefined };

/** The part of a description that doesn't depend on its fields' types. */
export interface AnyStruct {
	readonly name: string;
	readonly size: number;
	readonly fields: Fields;
}

/** A described C struct. */
export interface Struct<F> {
	/** The C name, without `struct`. */
	readonly name: string;
	/** sizeof, in bytes. */
	readonly size: number;
	/** The specs as given. */
	readonly fields: F & Fields;
	/** offsetof of each field. */
	readonly offsets: { readonly [K in keyof F]: number };
	/** Reads all fields from `at`. @throws RangeError when the struct doesn't fit into the view. */
	read(view: DataView, at?: number): Value<F>;
	/** Overwrites the whole struct at `at`; missing fields and padding become zero. @throws RangeError, TypeError */
	write(view: DataView, at: number, value: Input<F>): void;
	/** A new array of exactly `size` bytes. @throws RangeError, TypeError for values that don't fit. */
	encode(value: Input<F>): Uint8Array;
}

/** The type of what a description reads: `type Timespec = StructValue<typeof Timespec>`. */
export type StructValue<S> = S extends Struct<infer F> ? Value<F> : never;

/** The type of what a description takes to write; every field may be missing. */
export type StructInput<S> = S extends Struct<infer F> ? Input<F> : never;

const WIDTH: Readonly<Record<IntType, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, i8: 1, i16: 2, i32: 4, i64: 8 };

const LIMITS: Readonly<Record<"u8" | "u16" | "u32" | "i8" | "i16" | "i32", readonly [number, number]>> = {
	u8: [0, 0xff],
	u16: [0, 0xffff],
	u32: [0, 0xffffffff],
	i8: [-0x80, 0x7f],
	i16: [-0x8000, 0x7fff],
	i32: [-0x80000000, 0x7fffffff],
};

const U64_MAX = (1n << 64n) - 1n;
const I64_MIN = -(1n << 63n);
const I64_MAX = (1n << 63n) - 1n;

type Reader = (view: DataView, at: number) => unknown;
type Writer = (view: DataView, at: number, value: unknown) => void;

const READ: Readonly<Record<IntType, (view: DataView, at: number) => number | bigint>> = {
	u8: (v, at) => v.getUint8(at),
	u16: (v, at) => v.getUint16(at, true),
	u32: (v, at) => v.getUint32(at, true),
	u64: (v, at) => v.getBigUint64(at, true),
	i8: (v, at) => v.getInt8(at),
	i16: (v, at) => v.getInt16(at, true),
	i32: (v, at) => v.getInt32(at, true),
	i64: (v, at) => v.getBigInt64(at, true),
};

function intWriter(label: string, type: IntType): Writer {
	if (type === "u64" || type === "i64") {
		const [low, high] = type === "u64" ? [0n, U64_MAX] : [I64_MIN, I64_MAX];
		return (view, at, value) => {
			if (typeof value !== "bigint") throw new TypeError(`${label}: a bigint is needed, got ${typeof value}`);
			if (value < low || value > high) throw new RangeError(`${label}: ${value} does not fit into ${type}`);
			if (type === "u64") view.setBigUint64(at, value, true);
			else view.setBigInt64(at, value, true);
		};
	}
	const [low, high] = LIMITS[type];
	return (view, at, value) => {
		if (typeof value !== "number") throw new TypeError(`${label}: a number is needed, got ${typeof value}`);
		if (!Number.isInteger(value) || value < low || value > high)
			throw new RangeError(`${label}: ${value} does not fit into ${type}`);
		// Two's complement makes the signed and unsigned setters store the same bytes.
		if (high <= 0xff) view.setUint8(at, value);
		else if (high <= 0xffff) view.setUint16(at, value, true);
		else view.setUint32(at, value, true);
	};
}

function arrayField(label: string, type: IntType, count: number): [Reader, Writer] {
	const width = WIDTH[type];
	const readOne = READ[type];
	const writeOne = intWriter(label, type);
	return [
		(view, at) => {
			const out = new Array<number | bigint>(count);
			for (let i = 0; i < count; i++) out[i] = readOne(view, at + i * width);
			return out;
		},
		(view, at, value) => {
			const list = value as ArrayLike<unknown>;
			if (list.length > count) throw new RangeError(`${label}: ${list.length} elements, room for ${count}`);
			for (let i = 0; i < list.length; i++) writeOne(view, at + i * width, list[i]);
		},
	];
}

function bytesField(label: string, length: number): [Reader, Writer] {
	return [
		(view, at) => new Uint8Array(view.buffer, view.byteOffset + at, length).slice(),
		(view, at, value) => {
			if (!(value instanceof Uint8Array)) throw new TypeError(`${label}: a Uint8Array is needed`);
			if (value.length > length) throw new RangeError(`${label}: ${value.length} bytes, room for ${length}`);
			new Uint8Array(view.buffer, view.byteOffset + at, length).set(value);
		},
	];
}

/** Reader, writer and length in bytes of one field. */
function makeField(label: string, spec: FieldSpec): [Reader, Writer, number] {
	const [type, , count] = spec as readonly [FieldSpec[0], number, number?];
	if (typeof type === "object") {
		const inner = type as Struct<Record<string, never>>;
		return [
			(view, at) => inner.read(view, at),
			(view, at, value) => inner.write(view, at, value as object),
			inner.size,
		];
	}
	if (type === "bytes") return [...bytesField(label, count ?? 0), count ?? 0];
	if (count !== undefined) return [...arrayField(label, type, count), WIDTH[type] * count];
	return [READ[type], intWriter(label, type), WIDTH[type]];
}

interface PlannedField {
	key: string;
	offset: number;
	read: Reader;
	write: Writer;
}

function planFields(name: string, size: number, fields: Fields): PlannedField[] {
	return Object.entries(fields).map(([key, spec]) => {
		const [read, write, length] = makeField(`${name}.${key}`, spec);
		const offset = spec[1];
		if (offset < 0 || offset + length > size) throw new RangeError(`${name}.${key} reaches beyond ${size} bytes`);
		return { key, offset, read, write };
	});
}

/** Most runs use few of the many descriptions, so a description costs nothing until it's used. */
class LazyStruct<const F extends Fields> implements Struct<F> {
	#plan: PlannedField[] | undefined;
	#offsets: { readonly [K in keyof F]: number } | undefined;

	constructor(
		readonly name: string,
		readonly size: number,
		readonly fields: F & Fields,
	) {}

	get offsets(): { readonly [K in keyof F]: number } {
		this.#offsets ??= Object.fromEntries(Object.entries(this.fields).map(([key, spec]) => [key, spec[1]])) as {
			readonly [K in keyof F]: number;
		};
		return this.#offsets;
	}

	#fieldsIn(view: DataView, at: number): PlannedField[] {
		if (!(at >= 0 && at + this.size <= view.byteLength)) {
			throw new RangeError(`${this.name} needs ${this.size} bytes at ${at}, the view has ${view.byteLength}`);
		}
		this.#plan ??= planFields(this.name, this.size, this.fields);
		return this.#plan;
	}

	read(view: DataView, at = 0): Value<F> {
		const out: Record<string, unknown> = {};
		for (const field of this.#fieldsIn(view, at)) out[field.key] = field.read(view, at + field.offset);
		return out as Value<F>;
	}

	write(view: DataView, at: number, value: Input<F>): void {
		const plan = this.#fieldsIn(view, at);
		new Uint8Array(view.buffer, view.byteOffset + at, this.size).fill(0);
		const given = value as Record<string, unknown>;
		for (const field of plan) {
			const one = given[field.key];
			if (one !== undefined) field.write(view, at + field.offset, one);
		}
	}

	encode(value: Input<F>): Uint8Array {
		const bytes = new Uint8Array(this.size);
		this.write(new DataView(bytes.buffer), 0, value);
		return bytes;
	}
}

/**
 * Describes a C struct; see style section 4.6. Fields may overlap (unions): reading gives every view of the bytes, writing
 * stores the given fields in the order of the description. A field beyond `size` is a RangeError at the first use; the build
 * compares all descriptions with the headers.
 */
export function defineStruct<const F extends Fields>(name: string, size: number, fields: F): Struct<F> {
	return new LazyStruct(name, size, fields);
}

/** A DataView over exactly the bytes of a Uint8Array, for `read` and `write`. */
export function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
