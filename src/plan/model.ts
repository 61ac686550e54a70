// SPDX-License-Identifier: GPL-2.0-only
// The model of a dump: what planners work on, once images are read and checked.

import type { task_kobj_ids_entry } from "../images/gen/core_pb.ts";
import type { file_entry } from "../images/gen/fdinfo_pb.ts";
import type { inventory_entry } from "../images/gen/inventory_pb.ts";
import type { TaskImage } from "../kinds/kind.ts";

/** A whole dump. */
export interface DumpImages {
	inventory: inventory_entry;
	rootIds: task_kobj_ids_entry;
	ids: task_kobj_ids_entry;
	root: TaskImage;
	files: ReadonlyMap<number, file_entry>;
}
