// SPDX-License-Identifier: GPL-2.0-only
// `criu dump --leave-running --snapshot`: where memory may be copied while the tree runs on, and where not.

import type { InjectedAgent } from "../agent/injected.ts";
import { CriuError, UsageError } from "../errors.ts";
import type { SmapsFacts } from "../kernel/procfs/smaps.ts";
import type { DumpedTask } from "../kinds/kind.ts";
import { classifyVma } from "../kinds/mm/vma.ts";
import { log } from "../log.ts";
import type { Options } from "../options.ts";
import { intersect } from "../pages/ranges.ts";
import { LocalSink } from "../pages/sink.ts";
import { enableSnapshots, type Protectable, Snapshot } from "../pages/snapshot.ts";
import type { RunControl } from "./control.ts";
import { borrowUserfault, type MemoryRun } from "./memory-run.ts";
import { isDoubtful, type SeenMappings } from "./seen-mappings.ts";

/** What is smaller is copied sooner than protected, in KiB. */
const WORTH_KB = 256;

/** @throws UsageError SNAPSHOT_ENDS */
export function checkSnapshotOptions({ leaveRunning }: Options): void {
	if (!leaveRunning)
		throw new UsageError("SNAPSHOT_ENDS", "--snapshot is for dumps that leave the processes running", {
			remedy: "add --leave-running, or leave out --snapshot",
		});
}

function whyNot(options: Options, control: RunControl, memory: MemoryRun): string | undefined {
	if (control.hasHooks) return "scripts or a client are asked while the tree stands still";
	if (options.lazyPages) return "--lazy-pages keeps the tree where it is";
	if (options.trackMem || options.prevImagesDir !== undefined) return "its writes are tracked for incremental dumps";
	return memory.sink instanceof LocalSink ? undefined : "pages go elsewhere in their order";
}

/** The snapshot that a dump makes; undefined when it's none. Why one that was asked for isn't made is logged. */
export function openSnapshot(options: Options, control: RunControl, memory: MemoryRun): Snapshot | undefined {
	if (!options.snapshot) return undefined;
	const reason = whyNot(options, control, memory);
	if (reason !== undefined) {
		log.warn(`no snapshot, the tree stands still until its memory is copied: ${reason}`);
		return undefined;
	}
	const snapshot = new Snapshot();
	if (memory.sink instanceof LocalSink) {
		memory.sink.copy = snapshot.copy;
		memory.sink.adopt = snapshot.adopt;
	}
	return snapshot;
}

/** Huge pages of hugetlbfs, and mappings of files, can't be protected, or not on all file systems. */
export function isProtectable(vma: SmapsFacts): boolean {
	const isPrivate = classifyVma(vma) === "anonymous" && !vma.shared;
	return isPrivate && !vma.vmFlags.has("ht") && !vma.vmFlags.has("dp") && vma.rssKb + vma.swapKb >= WORTH_KB;
}

/** Mappings of a task that may be protected. */
export function listProtectable({ vmas, mapped }: Pick<DumpedTask, "vmas" | "mapped">): SmapsFacts[] {
	return vmas.filter((vma) => isProtectable(vma) && intersect([vma], mapped.ranges).length === 0);
}

/** Has the agent make what a task's memory is protected with. Where it can't, that memory is copied at once. */
export function adoptForSnapshot(snapshot: Snapshot, task: DumpedTask, agent: InjectedAgent): void {
	if (snapshot.copyOf(task.pid) !== undefined) return;
	const mappings = listProtectable(task).map(
		({ start, end, anonHugePagesKb }): Protectable => ({ start, end, isHuge: anonHugePagesKb > 0 }),
	);
	if (mappings.length === 0) return;
	const uffd = borrowUserfault(task, agent, enableSnapshots);
	if (uffd !== undefined) snapshot.hold(task.pid, uffd, mappings);
	else log.warn(`no snapshot of pid ${task.pid}, it stands still until its memory is copied: it can't be protected`);
}

/** The tasks stand still, of which memory was copied ahead. */
export function goOnFromAhead(snapshot: Snapshot, tasks: readonly DumpedTask[]): void {
	for (const copy of snapshot.copies) {
		const task = tasks.find(({ pid, stat }) => pid === copy.pid && stat.starttime === copy.startTime);
		if (task === undefined) {
			snapshot.forget(copy);
			continue;
		}
		copy.hide(task.vmas);
		snapshot.goOn(copy, listProtectable(task));
	}
}

/** The tree runs again. @throws CriuError SNAPSHOT_LOST when what was recalled of its mappings may have been wrong */
export function checkMappings(seen: SeenMappings): void {
	if (isDoubtful(seen))
		throw new CriuError(
			"SNAPSHOT_LOST",
			"the program told the kernel to treat memory otherwise while it was looked at",
			{
				remedy: "dump again, or without --snapshot",
			},
		);
}
