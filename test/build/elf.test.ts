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

	test("puts code where huge pages can be mapped, and it still runs", () => {
		const [source, script, program] = [join(dir, "large.S"), join(dir, "large.lds"), join(dir, "large")];
		writeFileSync(
			source,
			`.globl _start\n_start: mov value, %edi\nadd data, %edi\nmov $60, %eax\nsyscall\n.fill 0x300000, 1, 0x90
			.section .rodata\n.fill 0x238000, 1, 1\nvalue: .long 4\n.data\ndata: .long 3
			.section .note.GNU-stack,"",@progbits\n`,
		);
		// As the linker of the runtime lays it out: addresses leave gaps that the file hasn't.
		writeFileSync(
			script,
			`PHDRS { ro PT_LOAD FILEHDR PHDRS FLAGS(4); code PT_LOAD FLAGS(5); rw PT_LOAD FLAGS(6); }
			SECTIONS { . = 0x400000 + SIZEOF_HEADERS; .rodata : { *(.rodata) } :ro
			. = 0x641d00; .text : { *(.text) } :code . = ALIGN(4096) + 0x3123; .data : { *(.data) } :rw
			/DISCARD/ : { *(.note*) } }`,
		);
		runTool([
			"gcc",
			"-nostdlib",
			"-static",
			"-no-pie",
			"-Wl,-z,max-page-size=4096",
			"-T",
			script,
			"-o",
			program,
			source,
		]);
		const image = new ElfImage(readFileSync(program));
		const codeBytes = image.loadSegments()[1]?.memsz ?? 0;
		expect(image.alignCode()).toEqual({ address: 0x600000, size: 0x41d00 + codeBytes });
		const code = image.loadSegments()[1];
		expect(code).toMatchObject({ offset: 0x200000, vaddr: 0x600000 });
		writeFileSync(program, image.bytes(), { mode: 0o755 });
		expect(Bun.spawnSync([program]).exitCode).toBe(7);
		expect(runTool(["readelf", "-SW", program])).toMatch(/\.text +PROGBITS +0*641d00 0*241d00 /);
	});

	test("leaves small programs where they are", () => {
		const image = new ElfImage(compileProgram());
		const before = Buffer.from(image.bytes());
		expect(image.alignCode()).toEqual({ address: 0, size: 0 });
		expect(before.equals(image.bytes())).toBe(true);
	});

	test("refuses what is not an x86-64 executable", () => {
		expect(() => new ElfImage(new Uint8Array(100))).toThrow("not an x86-64 ELF");
		expect(() => new ElfImage(new Uint8Array(3))).toThrow("not an x86-64 ELF");
	});
});
