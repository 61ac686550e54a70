// SPDX-License-Identifier: GPL-2.0-only
// Mappings of a tree that are looked at before it's stopped: what smaps tells of much memory takes long, and less of it is to be
// read while the tree stands still.

import { CriuError } from "../errors.ts";
import { isSameMapping, readMaps } from "../kernel/procfs/maps.ts";
import { isRecalled, readSmaps, recallDetails, type SmapsFacts } from "../kernel/procfs/smaps.ts";
import { listThreadChildren, listThreads } from "../kernel/procfs/tasks.ts";

/** Mappings by pid, from a look at tasks that ran. */
export interface SeenMappings {
	readonly byPid: ReadonlyMap<number, readonly SmapsFacts[]>;
	/** A task with mappings that are new is looked at again. */
	readonly exact: boolean;
}

export const NOTHING_SEEN: SeenMappings = { byPid: new Map(), exact: true };

/** Tasks with less memory, in KiB, are looked at while they stand still: that takes less than a millisecond. */
const WORTH_KB = 16 << 10;

/**
 * Looks at the mappings of a tree that runs. What isn't there any more isn't missed. `exact`: what can't be known by the looks of a
 * mapping's line alone is to be right.
 */
export function seeMappings(root: number, exact: boolean): SeenMappings {
	const byPid = new Map<number, readonly SmapsFacts[]>();
	const pids = [root];
	for (let i = 0; i < pids.length; i++) {
		const pid = pids[i] as number;
		try {
			const vmas = readSmaps(pid);
			if (!exact || vmas.reduce((sum, { rssKb }) => sum + rssKb, 0) >= WORTH_KB) byPid.set(pid, vmas);
			for (const tid of listThreads(pid)) pids.push(...listThreadChildren(pid, tid));
		} catch (error) {
			if (!(error instanceof CriuError)) throw error;
		}
	}
	return { byPid, exact };
}

/** The mappings of a task that stands still. */
export function readMappings(pid: number, { byPid, exact }: SeenMappings): SmapsFacts[] {
	const known = byPid.get(pid);
	if (known === undefined) return readSmaps(pid);
	const recalled = recallDetails(readMaps(pid), known);
	return exact && !recalled.every(isRecalled) ? readSmaps(pid) : recalled;
}

/** Flags that come and go by themselves, or by our doing: those of what was written, and of what is watched. */
const RESTLESS_FLAGS: ReadonlySet<string> = new Set(["sd", "uw"]);

/** True when a mapping that was there at both looks has other flags. */
export function hasOtherFlags(before: readonly SmapsFacts[], after: readonly SmapsFacts[]): boolean {
	const byStart = new Map(before.map((vma) => [vma.start, vma]));
	const show = ({ vmFlags }: SmapsFacts) => [...vmFlags].filter((flag) => !RESTLESS_FLAGS.has(flag)).join(" ");
	return after.some((vma) => {
		const known = byStart.get(vma.start);
		return known !== undefined && isSameMapping(known, vma) && show(known) !== show(vma);
	});
}

/**
 * Once the tree runs again: whether what was recalled of its mappings may have been wrong, as the program has given the kernel other
 * advice on one of them since the first look. Lines of maps don't tell of that.
 */
export function isDoubtful({ byPid }: SeenMappings): boolean {
	for (const [pid, before] of byPid)
		try {
			if (hasOtherFlags(before, readSmaps(pid))) return true;
		} catch (error) {
			if (!(error instanceof CriuError)) throw error;
		}
	return false;
}
