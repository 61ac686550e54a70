// SPDX-License-Identifier: GPL-2.0-only
// Damaged images: whatever a file holds, reading it gives messages or an ImageError, soon and with bounded memory.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Message } from "@bufbuild/protobuf";
import { ImageError } from "../../src/errors.ts";
import { ImageDir, type ImageKind, type ImageReader, imageFileName, KINDS } from "../../src/images/index.ts";
import { makeRandom, randomMessage } from "./random-message.ts";

const SEED = 0xc0ffee;
const FLIPS_PER_KIND = 150;
const MAX_TRUNCATIONS = 400;
const CODES = ["IMAGE_TRUNCATED", "IMAGE_MAGIC", "IMAGE_CORRUPT", "IMAGE_TOO_LARGE"];

const framed = Object.values<ImageKind>(KINDS).filter((kind) => kind.entry !== undefined);
const root = mkdtempSync(join(tmpdir(), "criu-fuzz-"));
let dir: ImageDir;

beforeAll(() => {
	dir = ImageDir.open(root);
});

afterAll(() => {
	dir.close();
	rmSync(root, { recursive: true, force: true });
});

function idOf(kind: ImageKind): string | undefined {
	if (kind.file.includes("%s")) return "dump";
	return kind.file.includes("%") ? "1" : undefined;
}

/** Lengths that entries tell of their payloads, made small enough to be written. */
function shrink(message: Message, random: () => number): void {
	const open = message as unknown as Record<string, unknown>;
	for (const name of ["bytes", "length", "inqLen", "outqLen", "nsems", "keysBytes", "valuesBytes", "qnum", "msize"]) {
		if (typeof open[name] === "number") open[name] = random() % 40;
	}
	for (const name of ["size", "len"]) if (typeof open[name] === "bigint") open[name] = BigInt(random() % 40);
}

/** A well-formed image with random content; its bytes. */
function makeImage(kind: ImageKind, random: () => number): Buffer {
	using writer = dir.writer(kind, idOf(kind));
	const write = (schema: NonNullable<ImageKind["entry"]>, payloadOf?: (message: Message) => number): Message => {
		const message = randomMessage(schema as unknown as Parameters<typeof randomMessage>[0], random);
		shrink(message, random);
		writer.writeMessage(schema, message);
		writer.writePayload(new Uint8Array(payloadOf?.(message) ?? 0));
		return message;
	};
	const head = kind.head === undefined ? undefined : write(kind.head, kind.payloadOf);
	const raw = head !== undefined && kind.isRawAfterHead?.(head) === true;
	const entries = raw || kind.entry === undefined ? 0 : kind.framing === "single" ? 1 : 3;
	for (let index = 0; index < entries && kind.entry !== undefined; index++) {
		const entry = write(kind.entry, kind.payloadOf);
		const nested = kind.nested;
		for (let count = nested?.countOf(entry) ?? 0; nested !== undefined && count > 0; count--) {
			write(nested.schema, nested.payloadOf);
		}
	}
	if (raw) writer.writePayload(new Uint8Array(5));
	writer.close();
	return readFileSync(join(root, imageFileName(kind, idOf(kind))));
}

/** Reads an image whole; the code of the ImageError if there is one. Anything else that is thrown fails the test. */
function readCode(kind: ImageKind, bytes: Uint8Array): string | undefined {
	writeFileSync(join(root, imageFileName(kind, idOf(kind))), bytes);
	try {
		using reader: ImageReader = dir.getReader(kind, idOf(kind));
		let records = 0;
		for (const _ of reader.records()) records++;
		expect(records).toBeLessThanOrEqual(bytes.length);
		return undefined;
	} catch (error) {
		if (!(error instanceof ImageError)) throw error;
		expect(CODES).toContain(error.code);
		expect(error.file).toBeString();
		return error.code;
	}
}

describe("damaged images", () => {
	test("that are whole after all are read", () => {
		const random = makeRandom(SEED);
		for (const kind of framed) expect(readCode(kind, makeImage(kind, random)), kind.name).toBeUndefined();
	});

	test("that end early are refused or read up to the end of an entry", () => {
		const random = makeRandom(SEED + 1);
		for (const kind of framed) {
			const bytes = makeImage(kind, random);
			const step = Math.ceil(bytes.length / MAX_TRUNCATIONS);
			for (let length = 0; length < bytes.length; length += step) {
				const code = readCode(kind, bytes.subarray(0, length));
				if (code === undefined) expect(kind.framing, kind.name).not.toBe("single");
				else expect(["IMAGE_TRUNCATED", "IMAGE_CORRUPT"], kind.name).toContain(code);
			}
		}
	}, 60_000);

	test("with flipped bits are refused or read as something else", () => {
		const random = makeRandom(SEED + 2);
		for (const kind of framed) {
			const bytes = makeImage(kind, random);
			for (let round = 0; round < FLIPS_PER_KIND; round++) {
				const damaged = Buffer.from(bytes);
				for (let flips = random() % 3; flips >= 0; flips--) {
					const at = random() % Math.min(bytes.length, round % 2 === 0 ? 64 : bytes.length);
					damaged[at] = (damaged[at] ?? 0) ^ (1 << (random() % 8));
				}
				readCode(kind, damaged);
			}
		}
	}, 60_000);

	test("of random bytes behind a right header are refused", () => {
		const random = makeRandom(SEED + 3);
		for (const kind of framed) {
			const header = makeImage(kind, random).subarray(0, kind.common === "none" ? 4 : 8);
			for (let round = 0; round < 40; round++) {
				const body = Uint8Array.from({ length: 4 + (random() % 200) }, () => random());
				if (round % 2 === 0) new DataView(body.buffer).setUint32(0, body.length - 4, true);
				readCode(kind, Buffer.concat([header, body]));
			}
		}
	});

	test("with huge sizes take no memory", () => {
		const random = makeRandom(SEED + 4);
		const before = process.memoryUsage().rss;
		for (const kind of framed) {
			const bytes = makeImage(kind, random);
			const sizeAt = kind.common === "none" ? 4 : 8;
			for (const size of [0x7fffffff, 0xffffffff, 64 * 1024 * 1024, 64 * 1024 * 1024 + 1]) {
				const damaged = Buffer.from(bytes);
				damaged.writeUInt32LE(size, sizeAt);
				expect(["IMAGE_TRUNCATED", "IMAGE_TOO_LARGE"]).toContain(readCode(kind, damaged) ?? "none");
			}
		}
		expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
	});

	test("with more items than any real entry has are refused", () => {
		const header = makeImage(KINDS.CGROUP as ImageKind, makeRandom(SEED + 6)).subarray(0, 8);
		const body = Buffer.alloc(4 + 10 * 1024 * 1024);
		for (let at = 4; at < body.length; at += 2) body[at] = 0x12;
		body.writeUInt32LE(body.length - 4, 0);
		expect(readCode(KINDS.CGROUP as ImageKind, Buffer.concat([header, body]))).toBe("IMAGE_CORRUPT");
	}, 240_000);

	test("with a large entry of small nonsense are refused before much is built", () => {
		// 32 million empty vmas of two bytes each: the first one lacks its required fields.
		const header = makeImage(KINDS.MM as ImageKind, makeRandom(SEED + 5)).subarray(0, 8);
		const body = Buffer.alloc(4 + 60 * 1024 * 1024);
		for (let at = 4; at < body.length; at += 2) body[at] = 0x72;
		body.writeUInt32LE(body.length - 4, 0);
		expect(readCode(KINDS.MM as ImageKind, Buffer.concat([header, body]))).toBe("IMAGE_CORRUPT");
	});
});
