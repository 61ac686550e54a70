// SPDX-License-Identifier: GPL-2.0-only
// Restores of images that build on others, in the ways that don't read pages files from their beginning to their end.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ImageDir, KINDS } from "../../src/images/index.ts";
import { readChain } from "../../src/pages/chain.ts";
import { describeAsRoot } from "../as-root.ts";
import { Churn } from "./churn.ts";

const TIMEOUT = 300_000;

/** Dumps a tree so that it ends, into images that build on two others. */
async function dumpChain(churn: Churn): Promise<string> {
	const first = churn.makeImages();
	await churn.mustCriu(...churn.arguments("pre-dump", first, undefined));
	await churn.command("churn", 100);
	const second = churn.makeImages();
	await churn.mustCriu(...churn.arguments("dump", second, first, "-R", "--track-mem"));
	await churn.command("write", 100);
	const last = churn.makeImages();
	await churn.mustCriu(...churn.arguments("dump", last, second));
	await churn.stage.died(churn.pid);
	using dir = ImageDir.open(last);
	const levels = new Set(readChain(dir, KINDS.PAGEMAP, churn.pid)?.runs.map(({ level }) => level));
	expect([...levels].sort()).toEqual([0, 1, 2]);
	return last;
}

describeAsRoot("images that build on two others", () => {
	test(
		"are mapped, each page from where it is",
		async () => {
			await using churn = await Churn.start(4096);
			await churn.command("churn", 200);
			const images = await dumpChain(churn);
			await churn.mustCriu("restore", "-d", "--map-pages", "-v4", "-o", join(images, "log"), "-D", images);
			expect(readFileSync(join(images, "log"), "utf8")).toMatch(/ pieces are mapped from the images/);
			await churn.expectIntact("mapped");
			await churn.command("write", 100);
			await churn.cycle(undefined);
			await churn.expectIntact("dumped again");
		},
		TIMEOUT,
	);

	test(
		"are brought while the program runs",
		async () => {
			await using churn = await Churn.start(512);
			await churn.command("churn", 200);
			const images = await dumpChain(churn);
			await churn.mustCriu("lazy-pages", "-d", "-D", images);
			await churn.mustCriu("restore", "-d", "--lazy-pages", "-D", images);
			await churn.expectIntact("brought");
			await churn.command("churn", 100);
			await churn.cycle(undefined);
			await churn.expectIntact("dumped again");
		},
		TIMEOUT,
	);
});
