// SPDX-License-Identifier: GPL-2.0-only
// /proc/PID/auxv: the auxiliary vector, pairs of 64-bit words up to AT_NULL.

import { viewOf } from "../abi/struct.ts";
import { procParseError } from "./parse.ts";
import { PROC_ROOT, readProcFile } from "./reader.ts";

/**
 * All words, as they are: types at even indices, values at odd ones, the AT_NULL pair included when the file has it. Empty
 * for a task without memory. @throws CriuError PROC_PARSE when the length isn't a multiple of 16. Source: proc_pid_auxv(5).
 */
export function parseAuxv(bytes: Uint8Array, file = "auxv"): bigint[] {
	if (bytes.length % 16 !== 0) throw procParseError(file, `${bytes.length} bytes are not whole pairs`);
	const view = viewOf(bytes);
	const words = new Array<bigint>(bytes.length / 8);
	for (let i = 0; i < words.length; i++) words[i] = view.getBigUint64(i * 8, true);
	return words;
}

/** The value of the first entry with the given type (AT_*); undefined when there is none before AT_NULL. */
export function findAuxv(words: readonly bigint[], type: number): bigint | undefined {
	for (let i = 0; i + 1 < words.length; i += 2) {
		if (words[i] === BigInt(type)) return words[i + 1];
		if (words[i] === 0n) return undefined;
	}
	return undefined;
}

/** The auxiliary vector of a task. @throws KernelError, CriuError PROC_PARSE */
export function readAuxv(pid: number | "self", procRoot = PROC_ROOT): bigint[] {
	const path = `${procRoot}/${pid}/auxv`;
	return parseAuxv(readProcFile(path), path);
}
