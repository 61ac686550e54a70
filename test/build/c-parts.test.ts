// SPDX-License-Identifier: GPL-2.0-only
// The rules for C parts are enforced by the build, not by hope: blobs have nothing to relocate and nothing writable.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	checkAssertions,
	compileBlob,
	compileHostLibrary,
	findBlobSymbol,
	runTool,
} from "../../scripts/build/c-parts.ts";

const ROOT = join(import.meta.dir, "../..");
const dir = mkdtempSync(join(tmpdir(), "criu-c-parts-"));
const output = join(dir, "blob.bin");
const workDir = join(dir, "work");

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function writeSource(code: string): string {
	const path = join(dir, "source.c");
	writeFileSync(path, code);
	return path;
}

function compile(code: string): void {
	const linkerScript = join(ROOT, "cparts/entry/entry.lds");
	compileBlob({ sources: [writeSource(code)], includeDir: dir, linkerScript, workDir, output });
}

const START = 'int cr_entry_start(int n) __attribute__((section(".header")));\n';

describe("compileBlob", () => {
	test("makes a flat blob that begins with its entry", () => {
		compile(`${START}int cr_entry_start(int n) { return n + 1; }`);
		expect(findBlobSymbol(workDir, "cr_entry_start")).toBe(0);
		expect(readFileSync(output).length).toBeGreaterThan(0);
	});

	test("refuses an absolute address", () => {
		const code = `${START}static int one(int n) { return n; } static int two(int n) { return -n; }
			static int (*const table[])(int) = { one, two };
			int cr_entry_start(int n) { return table[n & 1](n); }`;
		expect(() => compile(code)).toThrow("not position independent");
	});

	test("refuses writable data", () => {
		const code = `${START}static int calls;\nint cr_entry_start(int n) { return calls += n; }`;
		expect(() => compile(code)).toThrow("must not have writable data");
	});

	test("refuses a call to a function that nobody brings", () => {
		const code = `int absent(int n);\n${START}int cr_entry_start(int n) { return absent(n); }`;
		expect(() => compile(code)).toThrow("absent");
	});

	test("takes warnings for errors", () => {
		expect(() => compile(`${START}int cr_entry_start(int n) { int unused; return n; }`)).toThrow("unused");
	});

	test("throws for a symbol that is not there", () => {
		compile(`${START}int cr_entry_start(int n) { return n; }`);
		expect(() => findBlobSymbol(workDir, "absent")).toThrow("no symbol absent");
	});
});

describe("the host library", () => {
	test("is hardened: full RELRO, no executable stack, stack protector, only cr_ exports", () => {
		const library = join(ROOT, "build/libhost.so");
		const dynamic = runTool(["readelf", "-dW", library]);
		expect(dynamic).toMatch(/BIND_NOW|NOW/);
		expect(runTool(["readelf", "-lW", library])).toMatch(/GNU_STACK.* RW /);
		expect(runTool(["readelf", "-lW", library])).toContain("GNU_RELRO");
		const exported = runTool(["nm", "-D", "--defined-only", library]).trim().split("\n");
		expect(exported.filter((line) => !/ T cr_/.test(line))).toEqual([]);
	});

	test("with an undefined symbol does not link", () => {
		const source = writeSource("int absent(int n);\nint cr_try(int n);\nint cr_try(int n) { return absent(n); }");
		expect(() => compileHostLibrary([source], join(dir, "lib.so"))).toThrow("absent");
	});
});

describe("checkAssertions", () => {
	test("passes true ones and throws with the text of a false one", () => {
		const assertion = (value: string): string => writeSource(`_Static_assert(${value}, "size of int");`);
		expect(() => checkAssertions(assertion("sizeof(int) == 4"), [])).not.toThrow();
		expect(() => checkAssertions(assertion("sizeof(int) == 8"), [])).toThrow("size of int");
	});
});
