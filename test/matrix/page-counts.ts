// SPDX-License-Identifier: GPL-2.0-only
// What a dump tells of its pages against what lies in its images.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ImageDir, KINDS } from "../../src/images/index.ts";

const PAGE = 4096;

/** Throws unless stats-dump counts just the pages that the folder holds. */
export function checkPageCounts(folder: string): void {
	using dir = ImageDir.open(folder);
	const { dump } = dir.readEntry(KINDS.STATS, "dump");
	const told = Number((dump?.pagesWritten ?? 0n) + (dump?.shpagesWritten ?? 0n));
	const bytes = readdirSync(folder)
		.filter((name) => name.startsWith("pages-"))
		.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
	if (told * PAGE !== bytes) throw new Error(`stats-dump tells of ${told} pages, the images hold ${bytes / PAGE}`);
}
