// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import { nameLoss } from "../../src/engine/freeze.ts";
import { CriuError } from "../../src/errors.ts";

describe("nameLoss", () => {
	const lost = new CriuError("SNAPSHOT_LOST", "memory went away", { remedy: "dump again" });
	const other = new CriuError("PROC_PARSE", "cannot parse");

	test("leaves an error as it is while everybody lives", () => {
		expect(nameLoss(lost, [{ pid: process.pid }])).toBe(lost);
	});

	test("tells who has ended during a snapshot, and who was killed in a plain dump", () => {
		const { pid } = Bun.spawnSync(["true"]);
		const tasks = [{ pid: process.pid }, { pid }];
		expect(nameLoss(lost, tasks)).toMatchObject({
			code: "TASK_GONE",
			message: `pid ${pid} ended before all of its memory was copied`,
			remedy: "dump again",
			cause: lost,
		});
		expect(nameLoss(other, tasks)).toMatchObject({
			code: "TASK_GONE",
			message: `pid ${pid} was ended by somebody else while it was being dumped`,
			cause: other,
		});
	});
});
