// SPDX-License-Identifier: GPL-2.0-only
// A description in TypeScript that differs from the C header stops the build.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { checkAssertions } from "../../scripts/build/c-parts.ts";
import { writeOwnAssertions } from "../../scripts/build/struct-check.ts";
import * as agentLayout from "../../src/agent/layout.ts";
import { defineStruct } from "../../src/kernel/abi/struct.ts";
import * as hostLayout from "../../src/sys/host-layout.ts";

const dir = mkdtempSync(join(tmpdir(), "criu-structs-"));
writeFileSync(join(dir, "pair.h"), "struct pair { unsigned a; unsigned long b[2]; };\n#define CR_OP_ADD 7\n");

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function check(exports: Record<string, unknown>): void {
	const source = join(dir, "check.c");
	writeFileSync(source, writeOwnAssertions({ header: "pair.h", exports, constants: /^OP_/ }));
	checkAssertions(source, [dir]);
}

describe("writeOwnAssertions", () => {
	test("passes what is the same", () => {
		const Pair = defineStruct("pair", 24, { a: ["u32", 0], b: ["u64", 8, 2] });
		expect(() => check({ Pair, OP_ADD: 7, OTHER: 1, run: () => 1 })).not.toThrow();
	});

	test.each([
		["size", { Pair: defineStruct("pair", 32, { a: ["u32", 0] }) }, "size of struct pair"],
		["offset", { Pair: defineStruct("pair", 24, { a: ["u32", 4] }) }, "offset of pair.a"],
		["width", { Pair: defineStruct("pair", 24, { b: ["u64", 8] }) }, "width of pair.b"],
		["constant", { OP_ADD: 8 }, "OP_ADD"],
		["constant that C hasn't", { OP_SUB: 8 }, "CR_OP_SUB"],
	])("refuses a wrong %s", (_what, exports, message) => {
		expect(() => check(exports)).toThrow(message);
	});

	test("refuses a module that describes nothing", () => {
		expect(() => check({ run: () => 1 })).toThrow("nothing to hold against pair.h");
	});
});

test.each([
	["agent/agent.h", agentLayout],
	["host/host.h", hostLayout],
])("every structure of %s is described", (header, exports) => {
	const text = readFileSync(resolve(import.meta.dir, "../../cparts", header), "utf8");
	const inC = [...text.matchAll(/^struct (\w+) \{/gm)].map((match) => match[1]).sort();
	const described = Object.values(exports as Record<string, unknown>).flatMap((value) =>
		typeof value === "object" && value !== null && "name" in value ? [String(value.name)] : [],
	);
	expect(described.sort()).toEqual(inC as string[]);
});
