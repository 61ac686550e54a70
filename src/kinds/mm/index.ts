// SPDX-License-Identifier: GPL-2.0-only
// The address space as a kind of task state.

import type { TaskKind } from "../kind.ts";
import { dumpMemoryMap, findMemoryBlockers } from "./mm-dump.ts";
import { planMemoryMap } from "./mm-plan.ts";

export const memoryMap: TaskKind = {
	name: "memory",
	findBlockers: findMemoryBlockers,
	dump: dumpMemoryMap,
	plan: planMemoryMap,
};
