// SPDX-License-Identifier: GPL-2.0-only
// Random messages of any type with a fixed seed, values at the borders of their ranges among them.

import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { create, ScalarType } from "@bufbuild/protobuf";

/** Random numbers in [0, 2^32) from a seed (mulberry32). */
export function makeRandom(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return (mixed ^ (mixed >>> 14)) >>> 0;
	};
}

const UNSIGNED = [0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455, 268435456, 0xffffffff];
const SIGNED = [0, 1, -1, 63, -64, 64, 127, 128, 0x7fffffff, -0x80000000];
const UNSIGNED_LONG = [0n, 1n, 127n, 128n, 0xffffffffn, 0x100000000n, 2n ** 35n, 2n ** 42n - 1n, 2n ** 53n - 1n];
const UNSIGNED_HUGE = [2n ** 53n, 2n ** 56n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 0x7f1234567000n];
const SIGNED_LONG = [0n, 1n, -1n, 2n ** 31n, -(2n ** 31n), 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)];
const TEXTS = ["", "a", "ä", "\0", "word ".repeat(40), "\u{1f600}"];

function randomScalar(type: ScalarType | undefined, random: () => number): unknown {
	const pick = <T>(list: readonly T[]): T => list[random() % list.length] as T;
	switch (type) {
		case ScalarType.UINT32:
		case ScalarType.FIXED32:
			return pick([...UNSIGNED, random()]);
		case ScalarType.INT32:
		case ScalarType.SINT32:
			return pick([...SIGNED, random() | 0]);
		case ScalarType.UINT64:
		case ScalarType.FIXED64:
			return pick([...UNSIGNED_LONG, ...UNSIGNED_HUGE, (BigInt(random()) << 32n) | BigInt(random())]);
		case ScalarType.INT64:
		case ScalarType.SINT64:
			return pick([...SIGNED_LONG, BigInt.asIntN(64, (BigInt(random()) << 32n) | BigInt(random()))]);
		case ScalarType.BOOL:
			return random() % 2 === 0;
		case ScalarType.STRING:
			return pick(TEXTS);
		default:
			return Uint8Array.from({ length: pick([0, 1, 5, 127, 128, 3000]) }, () => random());
	}
}

function randomValue(field: DescField, random: () => number, depth: number): unknown {
	if (field.message !== undefined) return randomMessage(field.message, random, depth + 1);
	if (field.enum !== undefined) return field.enum.values[random() % field.enum.values.length]?.number;
	return randomScalar(field.scalar, random);
}

/** A message with all required fields and a random choice of the others. */
export function randomMessage(desc: DescMessage, random: () => number, depth = 0): Message {
	const message = create(desc) as Message & Record<string, unknown>;
	for (const field of desc.fields) {
		const many = depth > 3 ? 0 : random() % 4;
		if (field.fieldKind === "list") {
			message[field.localName] = Array.from({ length: many }, () => randomValue(field, random, depth));
		} else if (field.presence === 3 || (many > 1 && depth < 8)) {
			message[field.localName] = randomValue(field, random, depth);
		}
	}
	return message;
}
