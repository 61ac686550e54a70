// SPDX-License-Identifier: GPL-2.0-only
// Where the time of a run goes, stage by stage: always measured, told in the log and in the stats image.

import type { stage_time_entry } from "../images/gen/stats_pb.ts";
import { stage_time_entrySchema } from "../images/gen/stats_pb.ts";
import { create } from "../images/index.ts";
import { log } from "../log.ts";

/** A stopwatch with named laps. */
export class Timings {
	private readonly laps: Array<{ name: string; us: number }> = [];
	private last = performance.now();

	/** Ends a stage; its time in microseconds. */
	lap(name: string): number {
		const now = performance.now();
		const us = Math.round((now - this.last) * 1000);
		this.last = now;
		this.laps.push({ name, us });
		log.debug(() => `stage ${name}: ${us} us`);
		return us;
	}

	/** Sum of the stages from `first` to `last`, both included. */
	between(first: string, last: string): number {
		const from = this.laps.findIndex((lap) => lap.name === first);
		const to = this.laps.findIndex((lap) => lap.name === last);
		if (from < 0 || to < from) return 0;
		return this.laps.slice(from, to + 1).reduce((sum, lap) => sum + lap.us, 0);
	}

	/** For stats-dump and stats-restore. */
	encode(): stage_time_entry[] {
		return this.laps.map(({ name, us }) => create(stage_time_entrySchema, { name, us }));
	}
}
