// SPDX-License-Identifier: GPL-2.0-only
// Compiles the C parts: the host library (a .so for bun:ffi), the freestanding blobs (agent, entry), and the check of
// our structure descriptions against the real headers. Warnings are errors everywhere.

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";

const WARNINGS = [
	...["-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wvla", "-Wundef", "-Wformat=2"],
	...["-Wstrict-prototypes", "-Wold-style-definition", "-Wpointer-arith", "-Wimplicit-fallthrough"],
];

export const HOST_FLAGS = [
	...["-std=gnu11", "-O2", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", ...WARNINGS],
	...["-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection=full"],
	...["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"],
	...["-Wl,-z,relro,-z,now,-z,noexecstack", "-Wl,--no-undefined", "-Wl,--as-needed", "-s"],
];

/** Freestanding, position independent, no writable data, no stack protector (there is no libc to report to). */
export const BLOB_FLAGS = [
	...["-std=gnu11", "-Os", "-ffreestanding", "-fPIE", "-fvisibility=hidden", "-mgeneral-regs-only", ...WARNINGS],
	...["-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"],
	...["-fno-ident", "-fno-jump-tables", "-fno-tree-loop-distribute-patterns"],
];
const BLOB_LINK_FLAGS = [
	...["-nostdlib", "-static", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,--no-warn-rwx-segments"],
	"-Wl,--fatal-warnings",
];

/** Relocations between parts of one blob; the linker resolves them for good. */
const RELATIVE_RELOCATIONS = new Set(["R_X86_64_PC32", "R_X86_64_PLT32", "R_X86_64_PC8", "R_X86_64_PC64"]);

/** Runs a tool in the C locale and gives its standard output; throws with everything it said when it fails. */
export function runTool(argv: readonly string[], input?: string): string {
	const [command = "", ...args] = argv;
	const result = spawnSync(command, args, {
		encoding: "utf8",
		maxBuffer: 1 << 26,
		env: { PATH: process.env["PATH"], LC_ALL: "C", TMPDIR: process.env["TMPDIR"], HOME: process.env["HOME"] },
		...(input === undefined ? {} : { input }),
	});
	if (result.error) throw new Error(`cannot run ${command}: ${result.error.message}`, { cause: result.error });
	if (result.status !== 0) throw new Error(`${argv.join(" ")}\n${result.stdout}${result.stderr}`);
	return result.stdout;
}

/** Sources in one folder (not below), sorted: `.c` and `.S`. */
export function listSources(dir: string): string[] {
	return readdirSync(dir)
		.filter((name) => /\.[cS]$/.test(name))
		.sort()
		.map((name) => join(dir, name));
}

/** Compiles and links all sources of the host library into `output`. */
export function compileHostLibrary(sources: readonly string[], output: string): void {
	if (sources.length === 0) throw new Error("the host library has no sources");
	const draft = `${output}.${process.pid}.tmp`;
	runTool(["gcc", ...HOST_FLAGS, "-o", draft, ...sources]);
	renameSync(draft, output);
}

function assertOnlyRelative(object: string): void {
	for (const line of runTool(["readelf", "-rW", object]).split("\n")) {
		const type = /\b(R_X86_64_\w+)/.exec(line)?.[1];
		if (type === undefined || RELATIVE_RELOCATIONS.has(type)) continue;
		throw new Error(`${object} is not position independent: ${line.trim()}`);
	}
}

function assertFullyLinked(linked: string): void {
	const relocations = runTool(["readelf", "-rW", linked]);
	if (/R_X86_64_/.test(relocations)) throw new Error(`${linked} has relocations left:\n${relocations}`);
	const undefinedSymbols = runTool(["nm", "-u", linked]).trim();
	if (undefinedSymbols !== "") throw new Error(`${linked} has undefined symbols:\n${undefinedSymbols}`);
}

export interface BlobOptions {
	sources: readonly string[];
	/** Searched for headers. */
	includeDir: string;
	linkerScript: string;
	/** Folder for objects and the linked ELF file (kept for gdb and addr2line). */
	workDir: string;
	output: string;
}

/** Makes one flat blob that runs at any address: one piece, nothing writable, nothing to relocate. */
export function compileBlob(options: BlobOptions): void {
	const { workDir, output } = options;
	if (options.sources.length === 0) throw new Error(`${output} has no sources`);
	rmSync(workDir, { recursive: true, force: true });
	mkdirSync(workDir, { recursive: true });
	const objects = options.sources.map((source) => {
		const object = join(workDir, `${basename(source)}.o`);
		runTool(["gcc", ...BLOB_FLAGS, "-I", options.includeDir, "-c", "-o", object, source]);
		assertOnlyRelative(object);
		return object;
	});
	const linked = join(workDir, "linked.elf");
	runTool(["gcc", ...BLOB_LINK_FLAGS, `-Wl,-T,${options.linkerScript}`, "-o", linked, ...objects]);
	assertFullyLinked(linked);
	const draft = `${output}.${process.pid}.tmp`;
	runTool(["objcopy", "-O", "binary", linked, draft]);
	renameSync(draft, output);
}

/** Address of a symbol in the blob that `compileBlob` left in `workDir`; addresses are offsets, as blobs start at 0. */
export function findBlobSymbol(workDir: string, symbol: string): number {
	const table = runTool(["nm", join(workDir, "linked.elf")]);
	const match = new RegExp(`^([0-9a-f]+) \\w ${symbol}$`, "m").exec(table);
	if (match?.[1] === undefined) throw new Error(`no symbol ${symbol} in ${workDir}`);
	return Number.parseInt(match[1], 16);
}

/** Lets gcc prove the static assertions of a generated C file. */
export function checkAssertions(source: string, includeDirs: readonly string[]): void {
	const includes = includeDirs.flatMap((dir) => ["-I", dir]);
	runTool(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", ...includes, "-fsyntax-only", "-x", "c", source]);
}

/** What the compiler says of itself; part of every C stage's fingerprint. */
export function compilerVersion(): string {
	return `${runTool(["gcc", "--version"])}${runTool(["ld", "--version"])}`;
}

/** Size of a blob in bytes, for the build's report. */
export function blobSize(path: string): number {
	return readFileSync(path).length;
}
