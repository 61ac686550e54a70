// SPDX-License-Identifier: GPL-2.0-only
// Processes whose first thread has ended before the others: criu dies, or fails, at each fault point of a dump and at those of
// a restore that are special for them. Nobody is harmed, nothing is left, and the next try works.

import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { FAULT_POINTS } from "../../src/fault.ts";
import { describeAsRoot } from "../as-root.ts";
import { stateOf } from "../matrix/snapshot.ts";
import { waitForNone } from "../matrix/tree.ts";
import { limitJobs } from "../matrix.ts";
import { type CriuRun, Victim, type VictimKind } from "./victim.ts";

const inTurn = limitJobs(2);
const kind: VictimKind = { name: "without its first thread", mode: "leader", restless: true };
const done: CriuRun = { ending: { how: "exit", code: 0 }, output: "" };
const dumpPoints = FAULT_POINTS.filter((point) => /^(dump|infect|agent|cure):/.test(point) && point !== "dump:end");
const restorePoints = ["restore:thread", "restore:leader", "restore:left", "restore:registers", "restore:finished"];

/** Waits until the first thread has ended. */
async function startVictim(): Promise<Victim> {
	const victim = await Victim.start(kind);
	for (const end = performance.now() + 5000; stateOf(victim.procPath) !== "Z" && performance.now() < end; )
		await Bun.sleep(1);
	expect(stateOf(victim.procPath)).toBe("Z");
	return victim;
}

function listPids(victim: Victim): string[] {
	const proc = `/proc/${victim.stage.outerPid}/root/proc`;
	return readdirSync(proc).filter((name) => /^\d+$/.test(name) && name !== "1");
}

const code = (action: string) => (action === "kill" ? { how: "signal", code: 9 } : { how: "exit", code: 1 });

describeAsRoot("a process without its first thread", () => {
	for (const action of ["error", "kill"])
		test.concurrent(
			`isn't harmed when criu meets ${action} during a dump`,
			() =>
				inTurn(async () => {
					await using victim = await startVictim();
					for (const point of dumpPoints) {
						const images = victim.makeImages();
						const run = await victim.criu(["dump", "-t", String(victim.pid), "-R"], images, `${point}:${action}`);
						expect({ point, ...run.ending } as unknown).toEqual({ point, ...code(action) });
						await victim.expectUnharmed(`${action} at ${point}`);
					}
					await victim.cycle(`${action} at each point`);
					expect(stateOf(victim.procPath)).toBe("Z");
				}),
			600_000,
		);

	for (const action of ["error", "kill"])
		test.concurrent(
			`leaves nothing behind when criu meets ${action} during a restore`,
			() =>
				inTurn(async () => {
					await using victim = await startVictim();
					const images = victim.makeImages();
					expect(await victim.criu(["dump", "-t", String(victim.pid)], images)).toEqual(done);
					await victim.stage.died(victim.pid);
					for (const point of restorePoints) {
						const run = await victim.criu(["restore", "-d"], images, `${point}:${action}`);
						expect({ point, ...run.ending } as unknown).toEqual({ point, ...code(action) });
						expect({ point, left: await waitForNone(() => listPids(victim), 5000) }).toEqual({ point, left: [] });
					}
					expect(await victim.criu(["restore", "-d"], images)).toEqual(done);
					await victim.expectProgress("restore");
				}),
			600_000,
		);
});
