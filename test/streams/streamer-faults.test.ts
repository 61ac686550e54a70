// SPDX-License-Identifier: GPL-2.0-only
// --stream with a streamer that dies at any point: a dump leaves its tree as it was, a restore leaves nothing behind.

import { expect, test } from "bun:test";
import {
	appendFileSync,
	copyFileSync,
	existsSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	truncateSync,
} from "node:fs";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { withStreamer } from "../matrix/streamer.ts";
import { Churn, type CriuRun } from "../pages/churn.ts";

const TIMEOUT = 900_000;
const FAILED = { how: "exit", code: 1 } as const;
const DONE = { how: "exit", code: 0 } as const;
const PAGES = 256;

function dump(churn: Churn, images: string, fault?: string, ...more: string[]): Promise<CriuRun> {
	const args = churn.arguments("dump", images, undefined, "--stream", ...more);
	return withStreamer("capture", images, () => churn.criu(args), fault);
}

function restore(churn: Churn, images: string, fault?: string, ...more: string[]): Promise<CriuRun> {
	const args = ["restore", "-d", "-D", images, "--stream", ...more];
	return withStreamer("serve", images, () => churn.criu(args), fault);
}

describeAsRoot("with an image streamer", () => {
	test(
		"a dump or restore whose streamer dies fails cleanly, and can be made again",
		async () => {
			await using churn = await Churn.start(PAGES);
			await churn.command("write", 64);
			for (const fault of ["pages-1.img:0", "pages-1.img:70000", "core-:10", "fdinfo-:0", "inventory.img:5"]) {
				const { ending, output } = await dump(churn, churn.makeImages(), fault);
				expect(ending, `${fault}: ${output}`).toEqual(FAILED);
				expect(output).toContain("STREAMER_GONE");
				await churn.expectIntact(`a streamer that died at ${fault}`);
			}
			const images = churn.makeImages();
			const { ending, output } = await dump(churn, images);
			expect(ending, output).toEqual(DONE);
			await churn.stage.died(churn.pid);
			for (const fault of ["inventory.img:3", "pagemap-:20", "fdinfo-:40", "pages-1.img:5000", "mm-:0"]) {
				const failed = await restore(churn, images, fault);
				expect(failed.ending, `${fault}: ${failed.output}`).toEqual(FAILED);
				// The end of a streamer that has just sent the last of it may come a moment later than that.
				if (fault.startsWith("pages-")) expect(failed.output, fault).toMatch(/STREAMER_GONE|IMAGE_TRUNCATED/);
				expect(existsSync(churn.stage.procPath(churn.pid)), fault).toBe(false);
			}
			const again = await restore(churn, images);
			expect(again.ending, again.output).toEqual(DONE);
			await churn.expectIntact("the restore");
		},
		TIMEOUT,
	);

	test(
		"what can't be streamed is refused, and without a streamer nothing happens",
		async () => {
			await using churn = await Churn.start(1);
			const images = churn.makeImages();
			for (const [words, other] of [
				[["--prev-images-dir", "."], "prev-images-dir"],
				[["--auto-dedup"], "auto-dedup"],
				[["--page-server", "--address", "127.0.0.1", "--port", "9"], "page-server"],
				[["--lazy-pages", "--port", "9"], "lazy-pages"],
			] as const) {
				const { ending, output } = await churn.criu(churn.arguments("dump", images, undefined, "--stream", ...words));
				expect(ending).toEqual(FAILED);
				expect(output).toContain(`--stream can't be used together with --${other}`);
			}
			const mapped = await churn.criu(["restore", "-D", images, "--stream", "--map-pages"]);
			expect(mapped.output).toContain("--stream can't be used together with --map-pages");
			const alone = await churn.criu(churn.arguments("dump", images, undefined, "--stream"));
			expect(alone.ending).toEqual(FAILED);
			expect(alone.output).toContain("NO_STREAMER");
			await churn.expectIntact("refusals");
		},
		TIMEOUT,
	);

	test(
		"the root's pages are asked for when it reads them; without what was sent ahead they have to be there before",
		async () => {
			await using churn = await Churn.start(PAGES);
			await churn.command("write", 64);
			for (const isAhead of [true, false]) {
				const images = churn.makeImages();
				const { ending, output } = await dump(churn, images);
				expect(ending, output).toEqual(DONE);
				await churn.stage.died(churn.pid);
				const early = join(images, "store", `early-pages-${churn.pid}`);
				expect(existsSync(early)).toBe(true);
				// Of images whose names begin with pages-, readers add up the sizes: all that isn't a whole page has another name.
				const store = join(images, "store");
				const others = readdirSync(store).filter((name) => name.startsWith("pages-") && !/^pages-\d+\.img$/.test(name));
				expect(others).toEqual([]);
				// As the original dumps.
				if (!isAhead) rmSync(early);
				const planned = await restore(churn, images, "", "--dry-run");
				expect(planned.ending, planned.output).toEqual(DONE);
				const served = readFileSync(join(images, "store.served"), "utf8");
				expect(served.includes("pages-1.img"), served).toBe(!isAhead);
				const pages = join(images, "store/pages-1.img");
				const { size } = statSync(pages);
				copyFileSync(pages, `${pages}.whole`);
				truncateSync(pages, size - 4096);
				const cut = await restore(churn, images);
				expect(cut.ending, cut.output).toEqual(FAILED);
				expect(cut.output).toContain("IMAGE_TRUNCATED");
				expect(existsSync(churn.stage.procPath(churn.pid))).toBe(false);
				renameSync(`${pages}.whole`, pages);
				// More than was asked for harms nobody.
				appendFileSync(pages, new Uint8Array(300_000));
				const restored = await restore(churn, images);
				expect(restored.ending, restored.output).toEqual(DONE);
				await churn.expectIntact("the restore");
			}
		},
		TIMEOUT,
	);

	test(
		"pre-dumps and dumps that leave the tree running go through it, and the hook comes first",
		async () => {
			await using churn = await Churn.start(PAGES);
			await churn.command("write", 64);
			const images = churn.makeImages();
			const args = churn.arguments("pre-dump", images, undefined, "--stream");
			const first = await withStreamer("capture", images, () => churn.criu(args));
			expect(first.ending, first.output).toEqual(DONE);
			churn.checkImages(join(images, "store"));
			const hooked = churn.makeImages();
			await Bun.write(join(churn.dir, "hook"), `#!/bin/sh\necho $CRTOOLS_SCRIPT_ACTION >>${churn.dir}/hooks\n`);
			await Bun.$`chmod 755 ${churn.dir}/hook`;
			const second = await dump(churn, hooked, "", "-R", "--action-script", join(churn.dir, "hook"));
			expect(second.ending, second.output).toEqual(DONE);
			churn.checkImages(join(hooked, "store"));
			expect((await Bun.file(join(churn.dir, "hooks")).text()).split("\n")[0]).toBe("pre-stream");
			await churn.expectIntact("dumps");
		},
		TIMEOUT,
	);
});
