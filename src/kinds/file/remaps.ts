// SPDX-License-Identifier: GPL-2.0-only
// remap-fpath.img: which files of files.img are not to be opened by their own name, and where they are instead.

import { type remap_file_path_entry, remap_type } from "../../images/gen/file_pb.ts";
import { hasField, KINDS } from "../../images/index.ts";
import type { RestoreContext } from "../kind.ts";
import { corruptImage } from "./image-checks.ts";

const FILE = "remap-fpath.img";
/** Old images tell a ghost by the top bit of its id. */
const OLD_GHOST_BIT = 0x80000000;

/** Where a file is instead. `id`: ghost, REG entry, or dead process. */
export interface Remap {
	readonly type: remap_type;
	readonly id: number;
}

function toRemap(entry: remap_file_path_entry): Remap {
	if (hasField(entry, "remapType")) return { type: entry.remapType, id: entry.remapId };
	const isGhost = (entry.remapId & OLD_GHOST_BIT) !== 0;
	return { type: isGhost ? remap_type.GHOST : remap_type.LINKED, id: (entry.remapId & ~OLD_GHOST_BIT) >>> 0 };
}

/** The remaps of a dump by id of the REG entry. @throws ImageError */
export function readRemaps(context: RestoreContext): ReadonlyMap<number, Remap> {
	return context.once("remaps", () => {
		const remaps = new Map<number, Remap>();
		for (const entry of context.dir.readEntries(KINDS.REMAP_FPATH)) {
			const { origId } = entry;
			if (context.files.get(origId)?.reg === undefined)
				throw corruptImage(FILE, `orig_id ${origId} is no regular file`);
			if (remaps.has(origId)) throw corruptImage(FILE, `orig_id ${origId} twice`);
			remaps.set(origId, toRemap(entry));
		}
		return remaps;
	});
}
