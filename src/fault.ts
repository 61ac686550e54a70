// SPDX-License-Identifier: GPL-2.0-only
// Named fault points: tests make the program die or fail at each of them. Without CR_FAULT in the environment a point is
// one comparison. `CR_FAULT=<point>` throws there, `CR_FAULT=<point>:kill` ends the process as kill -9 does,
// `CR_FAULT=<point>:kill-group` its process group; a number behind a second colon (`point:error:3`) picks the third passage.

import { CriuError } from "./errors.ts";

/** All points, in the order in which a run meets them. */
export const FAULT_POINTS = [
	"dump:seized",
	"look:moved",
	"dump:checked",
	"infect:stopped",
	"infect:chain",
	"infect:registers",
	"infect:mask",
	"infect:entry",
	"infect:mapped",
	"infect:opened",
	"infect:locked",
	"infect:started",
	"thread:chain",
	"thread:registers",
	"thread:led",
	"thread:entry",
	"thread:stopped",
	"thread:leaving",
	"thread:mask",
	"agent:run",
	"agent:done",
	"dump:collected",
	"dump:pages",
	"dump:images",
	"cure:interrupted",
	"cure:registers",
	"cure:unmapped",
	"cure:mask",
	"cure:restored",
	"dump:cured",
	"dump:inventory",
	"dump:end",
	"pre-dump:begun",
	"pre-dump:marked",
	"pre-dump:copied",
	"pre-dump:tracked",
	"pre-dump:inventory",
	"snapshot:held",
	"snapshot:ahead",
	"snapshot:armed",
	"snapshot:running",
	"snapshot:copied",
	"freeze:asked",
	"freeze:frozen",
	"freeze:thawed",
	"restore:planned",
	"restore:spawned",
	"restore:seized",
	"restore:step",
	"restore:thread",
	"restore:built",
	"restore:stopped",
	"restore:leader",
	"restore:left",
	"restore:registers",
	"restore:pidfile",
	"restore:finished",
	"restore:outlives",
	"restore:detached",
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];

const [armed, action, passage] = (process.env["CR_FAULT"] ?? "").split(/:(?=kill|error)|:(?=\d+$)/);
let left = Number(passage ?? 1);
let isArmed = true;

/** Runs what isn't the thing that tests mean: no point counts meanwhile. */
export function withoutFaults<T>(run: () => T): T {
	isArmed = false;
	try {
		return run();
	} finally {
		isArmed = true;
	}
}

/** Fails or dies here when a test asked for it. @throws CriuError FAULT */
export function faultPoint(point: FaultPoint): void {
	if (point !== armed || !isArmed || --left > 0) return;
	if (action === "kill") process.kill(process.pid, "SIGKILL");
	if (action === "kill-group") process.kill(0, "SIGKILL");
	throw new CriuError("FAULT", `fault injected at ${point}`, { remedy: "unset CR_FAULT" });
}
