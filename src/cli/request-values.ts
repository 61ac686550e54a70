// SPDX-License-Identifier: GPL-2.0-only
// Values of requests as the option table takes them from the command line.

import { UsageError } from "../errors.ts";
import type { criu_opts } from "../images/gen/rpc_pb.ts";

function refuse(text: string, why: string): UsageError {
	return new UsageError("BAD_ARGUMENT", `${JSON.stringify(text)} in a request: ${why}`, {
		remedy: "send UTF-8 without NUL bytes",
	});
}

/** The text of a bytes field. `separator` must not be in it. @throws UsageError BAD_ARGUMENT */
export function requestText(bytes: Uint8Array, separator?: string): string {
	const shown = new TextDecoder().decode(bytes);
	if (bytes.includes(0)) throw refuse(shown, "a text with a NUL byte");
	let text: string;
	try {
		text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
	} catch {
		throw refuse(shown, "a text that isn't UTF-8");
	}
	if (separator !== undefined && text.includes(separator)) throw refuse(text, `"${separator}" can't be part of it`);
	return text;
}

type EnumField = "networkLock" | "manageCgroupsMode" | "preDumpMode";

/** The word for an enum's number, as a list of uses; a number without a word stands for itself, which no option knows. */
export function chosen(opts: criu_opts, field: EnumField, words: Readonly<Record<number, string>>): string[] {
	if (!Object.hasOwn(opts, field)) return [];
	const number: number = opts[field];
	return [words[number] ?? String(number)];
}
