// SPDX-License-Identifier: GPL-2.0-only
// Every scenario program in every mode of the matrix. Needs root; CRIU_BIN and CRIU_PEER_DIR choose the two criu.

import { afterAll, describe, test } from "bun:test";
import { listScenarios } from "./matrix/scenario.ts";
import { closeMatrix, limitJobs, modesOf, runScenario } from "./matrix.ts";

const inTurn = limitJobs(Number(process.env["CRIU_TEST_JOBS"] ?? "3"));
const skips = new Map<string, string[]>();
const waitForTurnMs = 900_000;
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("scenarios: skipped, since checkpointing needs root");

afterAll(async () => {
	await closeMatrix();
	for (const [reason, runs] of [...skips].sort()) console.log(`skipped ${runs.length}: ${reason} (${runs.join(", ")})`);
}, 30_000);

describe.skipIf(!isRoot)("a scenario program", () => {
	for (const scenario of listScenarios()) {
		for (const mode of modesOf(scenario)) {
			test.concurrent(
				`${scenario.name} ${mode.title} (${mode.name})`,
				() =>
					inTurn(async () => {
						const verdict = await runScenario(scenario, mode);
						if (!("skipped" in verdict)) return;
						skips.set(verdict.skipped, [...(skips.get(verdict.skipped) ?? []), `${scenario.name} ${mode.name}`]);
					}),
				waitForTurnMs,
			);
		}
	}
});
