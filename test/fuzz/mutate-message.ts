// SPDX-License-Identifier: GPL-2.0-only
// Changes one field of a message, at any depth, to a value that is at the edge of its range, near the old one, or taken
// from elsewhere in the same dump.

import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import type { Random } from "./mutate.ts";

/** Values that a dump holds; forged references come from here. */
export interface Pool {
	numbers: number[];
	bigints: bigint[];
}

interface Source {
	random: Random;
	pool: Pool;
	paths: readonly string[];
}

type Open = Record<string, unknown>;

const POOL_LIMIT = 4000;
const LONG_LIST = 70_000;
const INT32 = [0, 1, 2, -1, 63, 64, 65, 100, 0x7fff, 0xffff, 0x10000, 1 << 20, 4194304, 0x7fffffff, -0x80000000];
const UINT32 = [...INT32.filter((value) => value >= 0), 0x80000000, 0xfffffffe, 0xffffffff];
const INT64 = [0n, 1n, -1n, 4095n, 4096n, 4097n, 1n << 31n, 1n << 32n, 1n << 45n, (1n << 47n) - 4096n, 1n << 47n];
const HUGE = [1n << 53n, (1n << 63n) - 4096n, (1n << 63n) - 1n];
const UINT64 = [...INT64.filter((value) => value >= 0n), ...HUGE, 1n << 63n, (1n << 64n) - 4096n, (1n << 64n) - 1n];
const TEXTS = [
	"",
	"a",
	"/",
	"/..",
	"../../x",
	"/nowhere/at/all",
	"/dev/null",
	"/proc/self/mem",
	"\0",
	"/a\0b",
	"/x\n\u001b[31m",
];

const SIGNED_32 = new Set<ScalarType>([ScalarType.INT32, ScalarType.SINT32, ScalarType.SFIXED32]);
const UNSIGNED_32 = new Set<ScalarType>([ScalarType.UINT32, ScalarType.FIXED32]);
const SIGNED_64 = new Set<ScalarType>([ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64]);

/** Adds all numbers of a message to the pool, up to a limit. */
export function collectPool(schema: DescMessage, message: Message, pool: Pool): void {
	for (const field of schema.fields) {
		if (!Object.hasOwn(message, field.localName)) continue;
		const value = (message as unknown as Open)[field.localName];
		for (const item of Array.isArray(value) ? value.slice(0, 64) : [value]) {
			if (field.message !== undefined && item !== undefined) collectPool(field.message, item as Message, pool);
			else if (typeof item === "number" && pool.numbers.length < POOL_LIMIT) pool.numbers.push(item);
			else if (typeof item === "bigint" && pool.bigints.length < POOL_LIMIT) pool.bigints.push(item);
		}
	}
}

function pick<T>(list: readonly T[], random: Random): T {
	return list[random(list.length)] as T;
}

function newNumber(old: number, signed: boolean, { random, pool }: Source): number {
	const wrap = (value: number) => (signed ? value | 0 : value >>> 0);
	const near = [old + 1, old - 1, old ^ (1 << random(32)), old * 2, -old];
	const kind = random(5);
	if (kind === 0) return wrap(pick(pool.numbers, random));
	return kind < 3 ? pick(signed ? INT32 : UINT32, random) : wrap(pick(near, random));
}

function newBigint(old: bigint, signed: boolean, { random, pool }: Source): bigint {
	const wrap = (value: bigint) => (signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value));
	const near = [old + 1n, old - 1n, old + 4096n, old - 4096n, old ^ (1n << BigInt(random(64))), old * 2n, -old];
	const kind = random(5);
	if (kind === 0) return wrap(pick(pool.bigints, random));
	return kind < 3 ? pick(signed ? [...INT64, ...HUGE] : UINT64, random) : wrap(pick(near, random));
}

function newBytes(old: Uint8Array, { random, paths }: Source): Uint8Array {
	const kind = random(6);
	if (kind === 0) return Buffer.from(pick(TEXTS, random), "latin1");
	if (kind === 1 && paths.length > 0) return Buffer.from(pick(paths, random));
	if (kind === 2)
		return Uint8Array.from({ length: pick([1, 127, 4095, 4096, 70_000], random) }, (_, i) => (i === 0 ? 47 : 97));
	if (kind === 3) return old.slice(0, random(old.length + 1));
	if (kind === 4) return Buffer.concat([old, Buffer.from("x")]);
	const changed = old.slice();
	if (changed.length > 0) changed[random(changed.length)] = random(256);
	return changed;
}

function newScalar(field: DescField, old: unknown, source: Source): unknown {
	const { random } = source;
	if (field.enum !== undefined)
		return random(2) === 0 ? pick(field.enum.values, random).number : pick(UINT32, random) | 0;
	const type = field.scalar as ScalarType;
	if (type === ScalarType.BOOL) return old !== true;
	if (type === ScalarType.STRING) return pick([...TEXTS, ...source.paths, "word ".repeat(2000)], random);
	if (type === ScalarType.BYTES) return newBytes((old as Uint8Array | undefined) ?? new Uint8Array(), source);
	if (SIGNED_32.has(type) || UNSIGNED_32.has(type)) return newNumber(Number(old ?? 0), SIGNED_32.has(type), source);
	return newBigint((old as bigint | undefined) ?? 0n, SIGNED_64.has(type), source);
}

function show(value: unknown): string {
	return value instanceof Uint8Array ? `${value.length} bytes` : String(value);
}

function mutateList(field: DescField, list: unknown[], source: Source): string {
	const { random } = source;
	const at = random(list.length);
	const kind = random(20);
	if (kind < 13 && list.length > 0) {
		if (field.message !== undefined) return `[${at}].${mutateMessage(field.message, list[at] as Message, source)}`;
		list[at] = newScalar(field, list[at], source);
		return `[${at}] = ${show(list[at])}`;
	}
	if (kind < 15) {
		list.splice(at, 1);
		return ` without [${at}]`;
	}
	if (kind < 17 && list.length > 0) {
		list.splice(random(list.length), 0, list[at]);
		return ` with [${at}] twice`;
	}
	if (kind === 17 && list.length > 0) {
		const long = Array.from({ length: LONG_LIST }, (_, i) => list[i % list.length]);
		list.splice(0, list.length, ...long);
		return ` with ${list.length} items`;
	}
	if (kind === 18) {
		list.reverse();
		return " reversed";
	}
	list.splice(0);
	return " emptied";
}

/** Changes a message in place; gives what was done, as text. */
export function mutateMessage(schema: DescMessage, message: Message, source: Source): string {
	const { random } = source;
	const open = message as unknown as Open;
	const set = schema.fields.filter((field) => Object.hasOwn(message, field.localName));
	// Mostly what is there: a field that nobody sets is often one that nobody reads.
	const field = pick(set.length > 0 && random(6) > 0 ? set : schema.fields, random);
	if (field === undefined) return "stays as it is";
	const value = open[field.localName];
	const isSet = Object.hasOwn(message, field.localName) && value !== undefined;
	if (field.fieldKind === "list") return `${field.name}${mutateList(field, value as unknown[], source)}`;
	const isRequired = field.presence === 3;
	if (isSet && !isRequired && random(8) === 0) {
		delete open[field.localName];
		return `without ${field.name}`;
	}
	if (field.message !== undefined)
		return isSet ? `${field.name}.${mutateMessage(field.message, value as Message, source)}` : "stays as it is";
	open[field.localName] = newScalar(field, isSet ? value : undefined, source);
	return `${field.name} = ${show(open[field.localName])}`;
}
