// SPDX-License-Identifier: GPL-2.0-only
// The second half of what is done to a tree that stands still: its pages, and what only standing tasks can tell and no kind owns.

import { BugError } from "../errors.ts";
import { task_kobj_ids_entrySchema } from "../images/gen/core_pb.ts";
import { create } from "../images/index.ts";
import type { DumpedTask } from "../kinds/kind.ts";
import { dumpPages, type PagesWritten } from "../kinds/mm/mm-dump.ts";
import { dumpSegmentPages, listSegments } from "../kinds/mm/shared-memory.ts";
import { listSysvSegments } from "../kinds/mm/sysv-dump.ts";
import { namespaceIds, ownIds } from "../kinds/ns/namespaces.ts";
import { dumpTimeNamespace } from "../kinds/ns/time.ts";
import { hasSharedMemory, sharedId } from "../kinds/task/sharing.ts";
import type { Ranges } from "../pages/ranges.ts";
import { closeFd } from "../sys/file.ts";
import type { CollectedTask } from "./collect.ts";
import type { RunControl } from "./control.ts";
import { addPages, guessBytes, NO_PAGES } from "./dump-facts.ts";
import type { DumpState } from "./dump-state.ts";
import type { LazyGive } from "./lazy-give.ts";
import type { MemoryRun } from "./memory-run.ts";

/** Copies the pages of all tasks, and of what they share. @throws CriuError, KernelError, ImageError */
export function copyMemory(
	collected: readonly CollectedTask[],
	context: DumpState,
	memory: Pick<MemoryRun, "sink" | "trackingOf">,
	control: RunControl,
	give: LazyGive | undefined,
	expect: (guess: () => bigint) => void,
): PagesWritten {
	const segments = [...listSegments(context), ...listSysvSegments(context)];
	try {
		expect(() => guessBytes(collected.map(({ task }) => task)));
		const own = collected
			.filter(({ task }) => !hasSharedMemory(task, context))
			.map(({ task, draft }) => {
				control.check();
				const later = give === undefined ? undefined : (ranges: Ranges) => give.keep(task, ranges);
				return dumpPages(task, draft, memory.sink, memory.trackingOf(task), later);
			});
		// Scripts that look into images of the original find the pages of tasks first.
		const shared = segments.map((segment) => ({ ...NO_PAGES, ...dumpSegmentPages(segment, memory.sink) }));
		return [...own, ...shared].reduce(addPages, NO_PAGES);
	} finally {
		for (const { fd } of segments) closeFd(fd);
	}
}

/** What only standing tasks can tell and no kind owns. */
export function collectIdentity(tasks: readonly DumpedTask[], context: DumpState) {
	const foreign = new Map<string, number>();
	const ids = tasks.map((task) =>
		create(task_kobj_ids_entrySchema, {
			vmId: sharedId("vm", task, context),
			filesId: sharedId("files", task, context),
			fsId: sharedId("fs", task, context),
			sighandId: sharedId("sighand", task, context),
			...namespaceIds(context.ownNamespaces, context.namespacesOf(task.pid), foreign),
		}),
	);
	const [root] = tasks;
	if (root === undefined) throw new BugError("a dump without tasks");
	return { rootIds: ownIds(context.ownNamespaces), ids, clocks: dumpTimeNamespace(root.pid) };
}
