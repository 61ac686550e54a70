// SPDX-License-Identifier: GPL-2.0-only
// Makes the bundled executable deaf to variables that steer its runtime (BUN_BE_BUN would turn criu into a JavaScript
// interpreter, BUN_OPTIONS would load foreign code): a small piece of code, cparts/entry, runs first and hides them.
// The same piece of code lets the executable start where there is no glibc (pack.ts).

import { readFileSync } from "node:fs";
import { runTool } from "./c-parts.ts";
import { ElfImage } from "./elf.ts";
import { type Glibc, type PackSymbols, packGlibc } from "./pack.ts";
import { writeAtomically } from "./stage.ts";

export interface HardenOptions {
	executable: string;
	/** Blob made from cparts/entry. */
	entryBlob: string;
	/** Offset in the blob where the original entry point is written (8 bytes). */
	originalEntryAt: number;
	/** Offset in the blob where the address of libc's `environ` is written (8 bytes). */
	environAt: number;
	/** Offset in the blob where address and size of the executable's code are written (8 bytes each). */
	codeAt: number;
	/** Absent: the executable needs the host's glibc. */
	pack?: { glibc: Glibc; symbols: PackSymbols; version: Buffer };
	output: string;
}

/** Where a variable of a library lives in an executable that's linked to fixed addresses (R_X86_64_COPY). */
function findCopiedVariable(executable: string, name: string): bigint {
	const match = new RegExp(` R_X86_64_COPY +([0-9a-f]+) ${name}(?:@|$)`, "m").exec(
		runTool(["readelf", "-Wr", executable]),
	);
	if (match?.[1] === undefined) throw new Error(`${executable} has no copy of the variable ${name}`);
	return BigInt(`0x${match[1]}`);
}

/** Writes `output`: `executable` with the entry code in front of its own start. */
export function hardenExecutable(options: HardenOptions): void {
	const image = new ElfImage(readFileSync(options.executable));
	const code = Buffer.from(readFileSync(options.entryBlob));
	if (code.readBigUInt64LE(options.originalEntryAt) !== 0n) throw new Error("the entry code has no free slot");
	code.writeBigUInt64LE(image.entry, options.originalEntryAt);
	code.writeBigUInt64LE(findCopiedVariable(options.executable, "environ"), options.environAt);
	// A start touches code all over the executable: thirty page faults then instead of three hundred.
	const { address, size } = image.alignCode();
	code.writeBigUInt64LE(BigInt(address), options.codeAt);
	code.writeBigUInt64LE(BigInt(size), options.codeAt + 8);
	const { pack } = options;
	if (pack !== undefined) packGlibc(image, code, pack.symbols, pack.glibc, pack.version);
	else image.entry = image.addCodeSegment(code); // the blob begins with what ld.so starts
	writeAtomically(options.output, image.bytes(), 0o755);
}
