// SPDX-License-Identifier: GPL-2.0-only
// Memory that is restored without its pages: which mappings wait for them. Images: pagemap-PID.img, entries with PE_LAZY.

import type { vma_entry } from "../../images/gen/mm_pb.ts";
import { KINDS } from "../../images/index.ts";
import { listLazy } from "../../pages/pagemap.ts";
import type { Ranges } from "../../pages/ranges.ts";
import type { RestoreContext } from "../kind.ts";
import { corruptMemory } from "./mm-pages.ts";
import { canBeLazy } from "./vma.ts";

/**
 * The mappings of a task that lack pages when it goes on. `mappings`: all of them, sorted.
 *
 * @throws ImageError when the images leave out pages that can't come later
 */
export function findLazyMappings(pid: number, mappings: readonly vma_entry[], context: RestoreContext): Ranges {
	if (!context.options.lazyPages) return [];
	const file = `pagemap-${pid}.img`;
	const pagemap = context.dir.findHeaded(KINDS.PAGEMAP, pid);
	const found: Ranges = [];
	let at = 0;
	for (const { start, end } of listLazy(file, pagemap?.entries ?? []))
		for (let address = start; address < end; ) {
			while (at < mappings.length && (mappings[at]?.end ?? 0n) <= address) at++;
			const vma = mappings[at];
			if (vma === undefined || vma.start > address || !canBeLazy(vma))
				throw corruptMemory(
					file,
					`page 0x${address.toString(16)} can't be brought later, as no memory is there for that`,
				);
			if (found[found.length - 1]?.end !== vma.end) found.push({ start: vma.start, end: vma.end });
			address = vma.end;
		}
	return found;
}
