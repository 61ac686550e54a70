// SPDX-License-Identifier: GPL-2.0-only
// Numbers that a restore needs and threads of criu itself have: in a pid namespace that has just been made all numbers are low.

import type { pstree_entry } from "../images/gen/inventory_pb.ts";
import { listThreads } from "../kernel/procfs/tasks.ts";

/** Whether threads of ours, besides the first, are in the way of a tree, and the highest number of that tree. */
export interface InTheWay {
	readonly tids: readonly number[];
	readonly highest: number;
}

/** Compares the numbers of a tree (processes, threads, groups, sessions) with those of our threads. @throws KernelError */
export function findOwnInTheWay(pstree: readonly pstree_entry[], own = process.pid): InTheWay {
	const numbers = new Set<number>();
	for (const { pid, pgid, sid, threads } of pstree) for (const one of [pid, pgid, sid, ...threads]) numbers.add(one);
	const tids = listThreads(own).filter((tid) => tid !== own && numbers.has(tid));
	return { tids, highest: numbers.values().reduce((highest, one) => Math.max(highest, one), 0) };
}
