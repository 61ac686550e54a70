// SPDX-License-Identifier: GPL-2.0-only
// Images directories that take less than a dump needs: every write of an image, and the creation of every file, fails in
// turn on a small tmpfs. The target must not notice.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { readImages } from "../../src/engine/images.ts";
import { ImageError } from "../../src/errors.ts";
import { ImageDir } from "../../src/images/index.ts";
import { describeAsRoot } from "../as-root.ts";
import { showEnding } from "../matrix/stage.ts";
import { Victim } from "./victim.ts";

const PAGE = 4096;
const isRoot = process.getuid?.() === 0;

let victim: Victim;
/** Bytes of the largest image and number of files of a whole dump. */
let whole: { pages: number; files: number };

beforeAll(async () => {
	if (!isRoot) return;
	victim = await Victim.start({ name: "computing", mode: "busy" });
	const images = victim.makeImages();
	const { ending } = await dump(images, ["-R"]);
	expect(ending).toEqual({ how: "exit", code: 0 });
	const sizes = readdirSync(images).map((name) => statSync(join(images, name)).size);
	whole = { pages: Math.ceil(Math.max(...sizes) / PAGE), files: sizes.length };
});

afterAll(async () => {
	if (isRoot) await victim[Symbol.asyncDispose]();
});

/** The work directory is the images directory, as it is by default. */
const dump = (images: string, options: readonly string[]) =>
	victim.criu(["dump", "-t", String(victim.pid), "-W", images, ...options], images);

async function inside(...argv: string[]): Promise<void> {
	const log = join(victim.dir, "tool.log");
	const ending = await victim.stage.run(log, victim.dir, argv);
	if (ending.code !== 0) throw new Error(`${argv.join(" ")}: ${showEnding(ending)}`);
}

/** Runs `look` with a tmpfs of its own, mounted in the stage; `path` is where the stage has it, `seen` where we see it. */
async function withTmpfs(options: string, look: (path: string, seen: string) => Promise<void>): Promise<void> {
	const path = victim.makeImages();
	await inside("mount", "-t", "tmpfs", "-o", options, "tmpfs", path);
	try {
		await look(path, `/proc/${victim.stage.outerPid}/root${path}`);
	} finally {
		await inside("umount", path);
	}
}

/** True when the images are whole; throws when a restore would take them for something that they aren't. */
function isWhole(images: string): boolean {
	using dir = ImageDir.open(images);
	try {
		readImages(dir);
		return true;
	} catch (error) {
		if (error instanceof ImageError && ["DUMP_INCOMPLETE", "IMAGE_MISSING"].includes(error.code)) return false;
		throw error;
	}
}

/** A dump that has to fail for lack of room, and harm nobody. Gives false when the room was enough. */
async function expectFullOrWhole(tmpfs: string, options: readonly string[]): Promise<boolean> {
	let complete = false;
	await withTmpfs(tmpfs, async (path, seen) => {
		const { ending, output } = await dump(path, options);
		complete = isWhole(seen);
		expect(ending).toEqual({ how: "exit", code: complete ? 0 : 1 });
		if (complete) return;
		expect(output).toMatch(/^error: .*\n/);
		expect(output).toMatch(/ENOSPC|No space left/i);
		expect(output).toMatch(/; remedy: .+ \[[A-Z0-9_]+\]$/m);
	});
	await victim.expectUnharmed(`a dump to a tmpfs of ${tmpfs}`);
	return !complete;
}

describeAsRoot("a dump whose images directory", () => {
	test("has no room for the memory fails and leaves the target as it is", async () => {
		for (const share of [0, 0.25, 0.5, 0.9])
			for (const options of [[], ["-R"]])
				expect(await expectFullOrWhole(`size=${Math.max(1, Math.floor(whole.pages * share)) * PAGE}`, options)).toBe(
					true,
				);
	}, 60_000);

	test("has no room for one of the images after the memory fails and leaves the target as it is", async () => {
		let failed = 0;
		for (let more = 0; more <= whole.files; more++)
			if (await expectFullOrWhole(`size=${(whole.pages + more) * PAGE}`, ["-R"])) failed++;
		expect(failed).toBeGreaterThan(whole.files - 4);
	}, 60_000);

	test("takes only some of the files fails and leaves the target as it is", async () => {
		let failed = 0;
		for (let inodes = 1; inodes <= whole.files + 1; inodes++)
			if (await expectFullOrWhole(`nr_inodes=${inodes}`, ["-R"])) failed++;
		expect(failed).toBeGreaterThan(whole.files - 4);
	}, 60_000);

	test("is read-only fails before the target is touched", async () => {
		await withTmpfs("ro", async (path) => {
			const { ending, output } = await dump(path, []);
			expect(ending).toEqual({ how: "exit", code: 1 });
			expect(output).toMatch(/EROFS|read-only/i);
		});
		await victim.expectUnharmed("a dump to a read-only directory");
	}, 60_000);

	test("lacks room for the statistics alone ends well or leaves the target running", async () => {
		await using other = await Victim.start({ name: "computing", mode: "busy" });
		const path = other.makeImages();
		const run = await other.stage.run(join(other.dir, "tool.log"), other.dir, [
			...["sh", "-c", 'mount -t tmpfs -o "nr_inodes=$1" tmpfs "$2" && shift 2 && exec "$@"', "sh"],
			...[String(whole.files), path],
			...[
				process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu"),
				"dump",
				"-t",
				String(other.pid),
				"-D",
				path,
			],
		]);
		if (run.code === 0) await other.stage.died(other.pid);
		else await other.expectUnharmed("a dump without room for its statistics");
	}, 60_000);
});

describeAsRoot("a restore whose work directory", () => {
	test("has no room for the statistics succeeds all the same, or leaves no process", async () => {
		await using other = await Victim.start({ name: "computing", mode: "busy" });
		const images = other.makeImages();
		const dumped = await other.criu(["dump", "-t", String(other.pid)], images);
		expect(dumped.ending).toEqual({ how: "exit", code: 0 });
		await other.stage.died(other.pid);
		const full = other.makeImages();
		await other.stage.run("/dev/null", "/", ["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", full]);
		const { ending } = await other.criu(["restore", "-d", "-W", full], images);
		if (ending.code === 0) await other.expectProgress("a restore without room for its statistics");
		else expect(other.alive).toBe(false);
	}, 60_000);
});
