// SPDX-License-Identifier: GPL-2.0-only
// Encoder and decoder against each other and against those of protobuf-es.

import { describe, expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CriuError, ImageError } from "../../src/errors.ts";
import { core_entry_march, core_entrySchema } from "../../src/images/gen/core_pb.ts";
import { type fd_types, fdinfo_entrySchema } from "../../src/images/gen/fdinfo_pb.ts";
import { memfd_inode_entrySchema } from "../../src/images/gen/file_pb.ts";
import { pstree_entrySchema } from "../../src/images/gen/inventory_pb.ts";
import { aa_namespaceSchema } from "../../src/images/gen/security_pb.ts";
import { decodeMessage, encodeMessage, hasField } from "../../src/images/index.ts";
import { ALL_MESSAGES, asSchema } from "./all-schemas.ts";
import { makeRandom, randomMessage } from "./random-message.ts";

const SOURCE = { file: "test", offset: 100 };
const PSTREE = { pid: 7, ppid: 0, pgid: 7, sid: 7, threads: [7, 8] };

function decodeHex(hex: string) {
	return decodeMessage(pstree_entrySchema, Uint8Array.fromHex(hex), SOURCE);
}

function errorOf(run: () => unknown): CriuError {
	try {
		run();
	} catch (error) {
		if (error instanceof CriuError) return error;
		throw error;
	}
	throw new Error("nothing was thrown");
}

describe("encodeMessage and decodeMessage", () => {
	test("give back every message of every type, with the bytes that protobuf-es makes", () => {
		const random = makeRandom(20250101);
		// 141 of CRIU 4.2, and what is ours alone.
		expect(ALL_MESSAGES.length).toBeGreaterThanOrEqual(141);
		for (const desc of ALL_MESSAGES) {
			for (let round = 0; round < 12; round++) {
				const message = randomMessage(desc, random);
				const bytes = encodeMessage(asSchema(desc), message);
				expect(Buffer.from(bytes).equals(toBinary(desc, message)), desc.typeName).toBe(true);
				const decoded = decodeMessage(asSchema(desc), bytes, SOURCE);
				expect(decoded).toEqual(message);
				expect(decoded).toEqual(fromBinary(desc, bytes));
				expect(Buffer.from(encodeMessage(asSchema(desc), decoded)).equals(bytes), desc.typeName).toBe(true);
			}
		}
	});

	test("write required fields that are zero, and repeated fields unpacked", () => {
		const bytes = encodeMessage(pstree_entrySchema, create(pstree_entrySchema, PSTREE));
		expect(bytes.toHex()).toBe("08071000180720072807" + "2808");
	});

	test("keep unknown fields and unknown numbers of enums", () => {
		const known = encodeMessage(
			fdinfo_entrySchema,
			create(fdinfo_entrySchema, { id: 1, flags: 0, type: 99 as fd_types, fd: 3 }),
		);
		const unknown = Uint8Array.fromHex("a00607" + "aa0603616263" + "b10601020304050607" + "08" + "bd0601020304");
		const decoded = decodeMessage(fdinfo_entrySchema, Buffer.concat([known, unknown]), SOURCE);
		expect(Number(decoded.type)).toBe(99);
		expect(decoded.$unknown).toHaveLength(4);
		expect(Buffer.from(encodeMessage(fdinfo_entrySchema, decoded)).equals(Buffer.concat([known, unknown]))).toBe(true);
	});

	test("accept fields in any order and packed ones", () => {
		const decoded = decodeHex("2a020708" + "2007" + "1807" + "1000" + "0807");
		expect(decoded).toEqual(create(pstree_entrySchema, PSTREE));
	});

	test("keep names that are no UTF-8", () => {
		const name = Uint8Array.of(0xff, 0xfe, 0x2f, 0x80);
		const init = { name, uid: 0, gid: 0, size: 0n, shmid: 1, seals: 1, inodeId: 1n };
		const bytes = encodeMessage(memfd_inode_entrySchema, create(memfd_inode_entrySchema, init));
		expect(decodeMessage(memfd_inode_entrySchema, bytes, SOURCE).name).toEqual(name);
	});
});

describe("decodeMessage", () => {
	test.each([
		["a tag without a value", "08071000180720", "varint reaches beyond"],
		["a required field that is missing", "080710001807", "required field pstree_entry.sid is missing"],
		["no bytes at all", "", "required field pstree_entry.pid is missing"],
		["a wrong wire type", "0a0107", "field pstree_entry.pid has wire type 2 instead of 0"],
		["a length beyond the message", "2aff0107", "length 255 reaches beyond its message"],
		["a varint of eleven bytes", "08ffffffffffffffffffff01", "varint longer than ten bytes"],
		["field number 0", "0007", "field number 0"],
		["a group", "0b", "field pstree_entry.pid has wire type 3 instead of 0"],
		["an unknown group", "a306", "wire type 3"],
		["an unknown field that is cut off", "a90601", "fixed-size value reaches beyond its message"],
	])("refuses %s (%s)", (_, hex, why) => {
		const error = errorOf(() => decodeHex(hex));
		expect(error).toBeInstanceOf(ImageError);
		expect(error.code).toBe("IMAGE_CORRUPT");
		expect(error.message).toContain(why);
		expect(error.message).toStartWith("test is damaged at offset 1");
	});

	test("refuses a sub-message that reaches beyond its parent", () => {
		const bytes = Uint8Array.fromHex("0801" + "12021205" + "00000000");
		expect(errorOf(() => decodeMessage(core_entrySchema, bytes, SOURCE)).message).toContain("reaches beyond");
	});

	test("refuses messages nested without end", () => {
		let bytes = encodeMessage(aa_namespaceSchema, create(aa_namespaceSchema, { name: "n" }));
		for (let depth = 0; depth < 99; depth++) {
			const outer = create(aa_namespaceSchema, { name: "n" });
			outer.$unknown = [{ no: 3, wireType: 2, data: Buffer.concat([varint(bytes.length), bytes]) }];
			bytes = encodeMessage(aa_namespaceSchema, outer);
		}
		expect(decodeMessage(aa_namespaceSchema, bytes, SOURCE).name).toBe("n");
		for (let depth = 0; depth < 3; depth++) {
			const outer = create(aa_namespaceSchema, { name: "n" });
			outer.$unknown = [{ no: 3, wireType: 2, data: Buffer.concat([varint(bytes.length), bytes]) }];
			bytes = encodeMessage(aa_namespaceSchema, outer);
		}
		expect(errorOf(() => decodeMessage(aa_namespaceSchema, bytes, SOURCE)).message).toContain("deeper than 100");
	});
});

function varint(value: number): Uint8Array {
	const bytes: number[] = [];
	for (let rest = value; ; rest >>>= 7) {
		if (rest < 0x80) return Uint8Array.from([...bytes, rest]);
		bytes.push((rest & 0x7f) | 0x80);
	}
}

describe("encodeMessage", () => {
	test.each([
		["a required field that is not set", { pid: 1 }, "pstree_entry.sid: it is required"],
		["a negative number where none can be", { ...PSTREE, pid: -1 }, "pstree_entry.pid: bad value -1"],
		["a number that is too large", { ...PSTREE, pid: 2 ** 32 }, "pstree_entry.pid: bad value 4294967296"],
		["a fraction", { ...PSTREE, threads: [1.5] }, "pstree_entry.threads: bad value 1.5"],
	])("refuses %s", (_, init, why) => {
		const error = errorOf(() => encodeMessage(pstree_entrySchema, create(pstree_entrySchema, init)));
		expect(error.code).toBe("BUG");
		expect(error.message).toContain(why);
	});
});

describe("hasField", () => {
	test("tells an absent field from one that has its default", () => {
		const core = create(core_entrySchema, {
			mtype: core_entry_march.X86_64,
			threadCore: { futexRla: 0n, futexRlaLen: 0 },
		});
		expect(hasField(core, "tc")).toBe(false);
		expect(core.threadCore?.schedPolicy).toBe(0);
		expect(core.threadCore && hasField(core.threadCore, "schedPolicy")).toBe(false);
		expect(core.threadCore && hasField(core.threadCore, "futexRla")).toBe(true);
	});
});
