// SPDX-License-Identifier: GPL-2.0-only
// `criu inspect DIR`: what is in a dump, as text, JSON or a page.

import { UsageError } from "../errors.ts";
import { inspectFolder } from "../inspect/read.ts";
import { toJson, toText } from "../inspect/text.ts";
import type { CommandContext } from "./command-context.ts";

/** Looks; the exit code, 0 also where a restore isn't possible. */
export async function runInspect({ options, words, print }: CommandContext): Promise<number> {
	const [word] = words;
	if (options.json && options.html !== undefined) {
		throw new UsageError("JSON_AND_HTML", "--json and --html cannot be used together", { remedy: "run inspect twice" });
	}
	const inspection = inspectFolder(word ?? options.imagesDir);
	if (options.html !== undefined) {
		const { writePage } = await import("../inspect/page.ts");
		writePage(inspection, options.html);
	} else print(options.json ? toJson(inspection) : toText(inspection));
	return 0;
}
