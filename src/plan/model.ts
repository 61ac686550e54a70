// SPDX-License-Identifier: GPL-2.0-only
// The model of a dump: what planners work on, once images are read and checked.

import type { task_kobj_ids_entry } from "../images/gen/core_pb.ts";
import type { file_entry } from "../images/gen/fdinfo_pb.ts";
import type { inventory_entry, pstree_entry } from "../images/gen/inventory_pb.ts";
import type { CoreImage, TaskImage } from "../kinds/kind.ts";

/** A zombie. */
export interface DeadImage extends CoreImage {
	readonly pstree: pstree_entry;
}

/** A whole dump. */
export interface DumpImages {
	inventory: inventory_entry;
	rootIds: task_kobj_ids_entry;
	/** All processes in the order of their birth, as far as siblings go; parents first. */
	pstree: readonly pstree_entry[];
	root: TaskImage;
	/** Parents before their children, the root first. */
	tasks: readonly TaskImage[];
	dead: readonly DeadImage[];
	files: ReadonlyMap<number, file_entry>;
}
