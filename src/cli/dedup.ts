// SPDX-License-Identifier: GPL-2.0-only
// `criu dedup`: frees pages in older images that newer ones hold as well.

import { ImageError } from "../errors.ts";
import { ImageDir, PARENT_LINK } from "../images/index.ts";
import { log } from "../log.ts";
import type { CommandContext } from "./command-context.ts";

/** Frees the pages; the exit code. */
export async function runDedup({ options }: CommandContext): Promise<number> {
	const { dedup } = await import("../pages/dedup.ts");
	using dir = ImageDir.open(options.imagesDir);
	using parent = dir.openParent();
	if (parent === undefined)
		throw new ImageError("IMAGE_MISSING", `${dir.path} builds on no other images: there is no link "${PARENT_LINK}"`, {
			file: PARENT_LINK,
			remedy: "name the directory of an incremental dump with -D",
		});
	log.info(`Deduplicated: ${dedup(dir)} pages freed`);
	return 0;
}
