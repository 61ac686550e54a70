// SPDX-License-Identifier: GPL-2.0-only
// The address space as a kind of task state.

import { findMappedBlockers } from "../file/mapped-blockers.ts";
import type { TaskKind } from "../kind.ts";
import { checkRingsStill } from "./aio.ts";
import { dumpMemoryMap, findMemoryBlockers } from "./mm-dump.ts";
import { planMemoryMap } from "./mm-plan.ts";
import { findSysvBlockers } from "./sysv-dump.ts";

export const memoryMap: TaskKind = {
	name: "memory",
	findBlockers: (task, context) => [
		...findMemoryBlockers(task, context),
		...findSysvBlockers(task, context),
		...findMappedBlockers(task, context),
	],
	dump: dumpMemoryMap,
	conclude: checkRingsStill,
	plan: planMemoryMap,
};
