// SPDX-License-Identifier: GPL-2.0-only
// A program of one process, frozen: what most tests of a single task need.

import { type FrozenTree, freezeTree } from "../src/engine/freeze.ts";
import type { DumpedTask } from "../src/kinds/kind.ts";

export interface FrozenTask extends FrozenTree {
	readonly task: DumpedTask;
}

/** Freezes a tree and gives its root besides. */
export function freezeOne(pid: number, timeoutSec: number): FrozenTask {
	const frozen = freezeTree(pid, { timeoutSec, freezeCgroup: undefined });
	const [task] = frozen.tasks;
	if (task === undefined) throw new Error("a tree without a root");
	return { ...frozen, task };
}
