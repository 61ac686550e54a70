// SPDX-License-Identifier: GPL-2.0-only
// stats-dump and stats-restore in the work directory: figures of a run that succeeded.

import { messageOf } from "../errors.ts";
import {
	type dump_stats_entry,
	dump_stats_entrySchema,
	type restore_stats_entry,
	restore_stats_entrySchema,
	type stats_entry,
	stats_entrySchema,
} from "../images/gen/stats_pb.ts";
import { create, ImageDir, KINDS } from "../images/index.ts";
import { log } from "../log.ts";
import type { Timings } from "./timings.ts";
import type { DumpStats, RestoreStats } from "./types.ts";

function writeStats(workDir: string, name: "dump" | "restore", entry: stats_entry): void {
	log.debug(() => `Writing stats`);
	try {
		using dir = ImageDir.open(workDir);
		dir.writeEntry(KINDS.STATS, name, entry);
	} catch (error) {
		// The work is done; figures alone are no reason to call it failed.
		log.warn(`cannot write stats-${name}: ${messageOf(error)}`);
	}
}

function makeEntry(init: { dump?: dump_stats_entry; restore?: restore_stats_entry }): stats_entry {
	return create(stats_entrySchema, init);
}

export function writeDumpStats(workDir: string, stats: DumpStats, timings: Timings): void {
	const dump = create(dump_stats_entrySchema, {
		freezingTime: stats.freezingTime,
		frozenTime: stats.frozenTime,
		memdumpTime: stats.memdumpTime,
		memwriteTime: stats.memwriteTime,
		irmapResolve: stats.irmapResolve ?? 0,
		pagesScanned: stats.pagesScanned,
		pagesSkippedParent: stats.pagesSkippedParent,
		pagesWritten: stats.pagesWritten,
		pagesLazy: stats.pagesLazy,
		pagePipes: 0n,
		pagePipeBufs: 0n,
		shpagesScanned: stats.sharedPagesScanned,
		shpagesSkippedParent: 0n,
		shpagesWritten: stats.sharedPagesWritten,
		stages: timings.encode(),
	});
	writeStats(workDir, "dump", makeEntry({ dump }));
}

export function writeRestoreStats(workDir: string, stats: RestoreStats, timings: Timings): void {
	const restore = create(restore_stats_entrySchema, {
		pagesCompared: stats.pagesCompared,
		pagesSkippedCow: stats.pagesSkippedCow,
		pagesRestored: stats.pagesRestored ?? 0n,
		forkingTime: stats.forkingTime,
		restoreTime: stats.restoreTime,
		stages: timings.encode(),
	});
	writeStats(workDir, "restore", makeEntry({ restore }));
}
