// SPDX-License-Identifier: GPL-2.0-only
// All kinds of state that a task has: one line each. Order is the order of work within a stage.

import type { TaskKind } from "./kind.ts";
import { memoryMap } from "./mm/index.ts";

export const TASK_KINDS: readonly TaskKind[] = [
	memoryMap,
];
