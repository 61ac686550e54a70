// SPDX-License-Identifier: GPL-2.0-only
// argv in, exit code out. One file answers as criu, crit and compel, by the name it was called by or by the first word.

import { writeSync } from "node:fs";
import { basename } from "node:path";
import { runCriu, type Surroundings } from "./cli/run.ts";
import { UsageError } from "./errors.ts";

const OTHER_PROGRAMS = ["crit", "compel"];
/** Between tries when the reader of a non-blocking stream is slow. */
const RETRY_MS = 5;

/** Writes all of it; a reader that has gone away is no reason to fail. */
function writeText(fd: number, text: string): void {
	const bytes = Buffer.from(text);
	for (let at = 0; at < bytes.length; ) {
		try {
			at += writeSync(fd, bytes, at);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
		}
	}
}

async function main(): Promise<number> {
	const args = process.argv.slice(2);
	// Run from source, argv0 is the runtime.
	const called = basename(process.argv0);
	const program = called === "bun" || called === "bun.exe" ? "criu" : process.argv0;
	const around: Surroundings = {
		program,
		env: process.env,
		print: (text) => writeText(1, text),
		printError: (text) => writeText(2, text),
	};
	const byName = OTHER_PROGRAMS.includes(basename(program));
	const other = byName ? basename(program) : OTHER_PROGRAMS.find((name) => name === args[0]);
	if (other === "crit") return await (await import("./crit/main.ts")).runCrit(byName ? args : args.slice(1), around);
	if (other !== undefined) {
		const error = new UsageError("PROGRAM_NOT_IN_VERSION", `${other} is not built into this version of criu`, {
			remedy: `install ${other} from the original CRIU project until a later version has it`,
		});
		around.printError(`error: ${error.message}\nremedy: ${error.remedy}\n`);
		return 1;
	}
	return await runCriu(args, around);
}

// No top-level await: compiled bytecode can't hold it.
void main().then((code) => process.exit(code));
