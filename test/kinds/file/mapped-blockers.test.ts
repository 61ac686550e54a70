// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { copyFileSync, linkSync, unlinkSync } from "node:fs";
import { findMappedBlockers } from "../../../src/kinds/file/mapped-blockers.ts";
import type { Options } from "../../../src/options.ts";
import { lookLive, Sleeper } from "../task/fixtures.ts";
import { fileDump, TempDir } from "./fixtures.ts";

function blockersOf(pid: number, options: Partial<Options> = {}): string[] {
	return lookLive(pid, (task) => findMappedBlockers(task, fileDump(undefined, options)).map(({ code }) => code));
}

describe("mapped files", () => {
	test("that are where their names say stop nothing", async () => {
		await using child = await Sleeper.start();
		expect(blockersOf(child.pid)).toEqual([]);
	});

	test("without a name are held against the limit for ghosts", async () => {
		using dir = new TempDir();
		copyFileSync("/bin/sleep", dir.at("program"));
		await using child = await Sleeper.start([dir.at("program"), "1000"]);
		unlinkSync(dir.at("program"));
		expect(blockersOf(child.pid)).toEqual([]);
		expect(blockersOf(child.pid, { ghostLimit: 4096 })).toEqual(["GHOST_TOO_LARGE"]);
	});

	test("with another name than the one they were mapped by need a link", async () => {
		using dir = new TempDir();
		copyFileSync("/bin/sleep", dir.at("program"));
		await using child = await Sleeper.start([dir.at("program"), "1000"]);
		linkSync(dir.at("program"), dir.at("other"));
		unlinkSync(dir.at("program"));
		expect(blockersOf(child.pid)).toEqual(["NEEDS_LINK_REMAP"]);
		expect(blockersOf(child.pid, { linkRemap: true })).toEqual([]);
	});
});
