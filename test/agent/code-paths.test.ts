// SPDX-License-Identifier: GPL-2.0-only
// What short stretches of code do with registers and stack, and what is refused because it can't be told.

import { describe, expect, test } from "bun:test";
import { FREE_REGISTERS, findCall, findLoader, followCode } from "../../src/agent/code-paths.x86_64.ts";
import { makeRandom } from "../images/random-message.ts";

const code = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const bit = (register: number) => 1 << register;

describe("followCode", () => {
	test.each([
		["ret", "c3", { length: 1, ends: "ret", words: 0, source: 0 }],
		[
			"zeroed registers as in the vdso of Linux 6.18",
			"31d2 31c9 4531c0 4531db c3",
			{ ends: "ret", words: 0, length: 11 },
		],
		["pops and dropped words", "4883c430 5b 415c 5d c3", { ends: "ret", words: 9 }],
		["rax from a register", "4889e8 4c89cf 0f05", { ends: "syscall", words: 0, source: 5 }],
		["rax by way of two others", "4889df 4989f8 4c89c0 c3", { source: 3 }],
		["an exchange", "93 c3", { source: 3 }],
		["a popped rax", "58 c3", { words: 1, source: undefined }],
	])("reads %s", (_what, hex, expected) => {
		expect(followCode(code(hex), 0)).toMatchObject(expected);
	});

	test("tells which registers end as 15", () => {
		const path = followCode(code("5b 31ed b80f000000 4d89ec c3"), 0);
		// rbx popped, rbp zeroed, rax set, r12 from r13; r13, r14, r15 untouched.
		expect(path?.fifteens).toBe(bit(3) | bit(0) | bit(12) | bit(13) | bit(14) | bit(15));
	});

	test.each([
		["a load from memory", "488b00 c3"],
		["a store", "488907 c3"],
		["a push", "50 c3"],
		["a jump", "eb00 c3"],
		["leave", "c9 c3"],
		["a new stack pointer", "5c c3"],
		["a copied stack pointer", "4889ec c3"],
		["words given back to the stack", "4883ec08 c3"],
		["half a word", "4883c404 c3"],
		["too many words", "4881c400100000 c3"],
		["lea to the stack pointer", "488d65f0 c3"],
		["a truncated instruction", "48c7c00f00"],
		["no end", "9090909090"],
	])("refuses %s", (_what, hex) => {
		expect(followCode(code(hex), 0)).toBeUndefined();
	});

	test("stays within any bytes", () => {
		const random = makeRandom(7);
		for (let round = 0; round < 20_000; round++) {
			const bytes = Uint8Array.from({ length: 32 }, () => random() & 255);
			const path = followCode(bytes, random() % 32);
			if (path !== undefined) expect(path.length).toBeLessThanOrEqual(32);
		}
	});
});

describe("findLoader", () => {
	test("finds the shortest stretch that makes rax 15 before a call", () => {
		expect(findLoader(code("ffff 4889e8 0f05"), FREE_REGISTERS)).toMatchObject({ at: 3, path: { ends: "syscall" } });
	});

	test("takes only registers that are 15 by then", () => {
		expect(findLoader(code("ffff 4889e8 0f05"), FREE_REGISTERS & ~bit(5))).toBeUndefined();
	});

	test("takes no constant but 15", () => {
		expect(findLoader(code("b80e000000 0f05"), FREE_REGISTERS)).toBeUndefined();
		expect(findLoader(code("b80f000000 0f05"), FREE_REGISTERS)).toMatchObject({ at: 0 });
	});
});

describe("findCall", () => {
	test("prefers a way to a return", () => {
		expect(findCall(code("0f05 4889e8 0f05 ff 0f05 5d c3"))).toMatchObject({ at: 8, path: { ends: "ret", words: 1 } });
	});

	test("takes a second call with rax from a register", () => {
		expect(findCall(code("0f05 4889e8 0f05 ff"))).toMatchObject({ at: 0, path: { ends: "syscall", source: 5 } });
	});

	test("takes no second call with the result of the first", () => {
		expect(findCall(code("0f05 31ff 0f05 ff"))).toBeUndefined();
	});
});
