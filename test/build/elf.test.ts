// SPDX-License-Identifier: GPL-2.0-only
// Adding a code segment to a finished executable.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTool } from "../../scripts/build/c-parts.ts";
import { ElfImage } from "../../scripts/build/elf.ts";

const dir = mkdtempSync(join(tmpdir(), "criu-elf-"));

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A program at fixed addresses that ends with exit code 7, with one note. */
function compileProgram(): Uint8Array {
	const source = join(dir, "program.S");
	const program = join(dir, "program");
	writeFileSync(
		source,
		`.globl _start\n_start: mov $60, %eax\nmov $7, %edi\nsyscall\n.section .note.GNU-stack,"",@progbits\n`,
	);
	runTool(["gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id", "-o", program, source]);
	return readFileSync(program);
}

/** mov $60, %eax; mov $9, %edi; syscall */
const EXIT_WITH_9 = Uint8Array.of(0xb8, 60, 0, 0, 0, 0xbf, 9, 0, 0, 0, 0x0f, 0x05);

describe("ElfImage", () => {
	test("adds a segment whose code runs when it is made the entry", () => {
		const image = new ElfImage(compileProgram());
		image.entry = image.addCodeSegment(EXIT_WITH_9);
		const path = join(dir, "changed");
		writeFileSync(path, image.bytes(), { mode: 0o755 });
		expect(Bun.spawnSync([path]).exitCode).toBe(9);
		expect(runTool(["readelf", "-lW", path])).toMatch(/LOAD .* R E 0x1000/);
	});

	test("leaves the program's own start working", () => {
		const image = new ElfImage(compileProgram());
		image.addCodeSegment(EXIT_WITH_9);
		const path = join(dir, "same");
		writeFileSync(path, image.bytes(), { mode: 0o755 });
		expect(Bun.spawnSync([path]).exitCode).toBe(7);
	});

	test("has room for one segment only", () => {
		const image = new ElfImage(compileProgram());
		image.addCodeSegment(EXIT_WITH_9);
		expect(() => image.addCodeSegment(EXIT_WITH_9)).toThrow("no PT_NOTE");
	});

	test("refuses what is not an x86-64 executable", () => {
		expect(() => new ElfImage(new Uint8Array(100))).toThrow("not an x86-64 ELF");
		expect(() => new ElfImage(new Uint8Array(3))).toThrow("not an x86-64 ELF");
	});
});
