// SPDX-License-Identifier: GPL-2.0-only
// Restored programs whose missing pages are elsewhere, and what happens when that is lost while they lack some: they end at once, the
// daemon says why, and whoever has the pages still has them.

import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeAsRoot } from "../../as-root.ts";
import { buildStage } from "../../matrix/scenario.ts";
import { type Ending, Stage } from "../../matrix/stage.ts";
import { Churn, criu } from "../churn.ts";
import { serveLossily } from "../lossy.ts";

const TIMEOUT = 300_000;
/** 16 MiB. */
const PAGES = 4096;
const LOST_AT = { side: "server", bytes: 5 << 20 } as const;
const KILLED: Ending = { how: "signal", code: 9 };
const WELL: Ending = { how: "exit", code: 0 };
const FAILED: Ending = { how: "exit", code: 1 };
const SAID =
	/^Error [^\n]*: processes that wait for pages are ended[^\n]*\nError [^\n]*: the connection was lost by which missing pages come[^\n]*and restore again \[PAGE_CONNECTION\]\n$/;
const GIVER_SAID = /Error [^\n]*: the lazy-pages daemon, or the connection to it, ended before it had all pages/;

/** Restores the program lazily; what the restore, the daemon and the program came to. */
async function restore(churn: Churn, stage: Stage, images: string, port: number) {
	const work = mkdtempSync(join(churn.dir, "work-"));
	const at = (name: string) => join(work, name);
	const from = ["--page-server", "--address", "127.0.0.1", "--port", `${port}`];
	const daemon = ["lazy-pages", "-D", images, "-W", work, "-d", "--pidfile", at("pid"), "-o", at("lazy.log"), ...from];
	expect(await stage.run(at("out"), work, [criu, ...daemon])).toEqual(WELL);
	const restored = await stage.run(at("restore.out"), work, [
		criu,
		"restore",
		"-d",
		"--lazy-pages",
		"-D",
		images,
		"-W",
		work,
	]);
	const ended = await stage.died(Number(readFileSync(at("pid"), "latin1")));
	return {
		restored,
		ended,
		said: readFileSync(at("lazy.log"), "latin1"),
		told: readFileSync(at("restore.out"), "latin1"),
	};
}

/** Throws unless the program has ended, and the daemon with one error that says what was lost. */
async function expectLoss(stage: Stage, pid: number, { restored, ended, said }: Awaited<ReturnType<typeof restore>>) {
	expect({ restored, ended }).toEqual({ restored: WELL, ended: FAILED });
	expect(said).toMatch(SAID);
	expect(await stage.died(pid)).toEqual(KILLED);
}

describeAsRoot("a restored program that lacks pages", () => {
	test.each(["connection", "server"] as const)(
		"ends when its page server is lost (%s), and comes back from another one",
		async (loss) => {
			await using churn = await Churn.start(PAGES);
			const images = churn.makeImages();
			await churn.mustCriu(...churn.arguments("dump", images, undefined));
			await churn.stage.died(churn.pid);
			const words = ["page-server", "--lazy-pages", "-D", images];
			const source = await serveLossily(churn, words, loss, LOST_AT);
			await expectLoss(churn.stage, churn.pid, await restore(churn, churn.stage, images, source.port));
			expect(await source.ended).toEqual(loss === "server" ? KILLED : FAILED);
			if (loss === "connection") expect(source.readLog()).toMatch(GIVER_SAID);
			const next = await serveLossily(churn, words, "nothing", LOST_AT);
			expect(await restore(churn, churn.stage, images, next.port)).toMatchObject({ restored: WELL, ended: WELL });
			expect(await next.ended).toEqual(WELL);
			await churn.expectIntact("the restore");
		},
		TIMEOUT,
	);

	test.each(["connection", "server"] as const)(
		"ends when the dump that has them is lost (%s), whose program goes on",
		async (loss) => {
			await using churn = await Churn.start(PAGES);
			const other = await Stage.open({ program: await buildStage(), log: join(churn.dir, "other.log") });
			try {
				const images = churn.makeImages();
				const words = churn.arguments("dump", images, undefined, "--lazy-pages");
				const source = await serveLossily(churn, words, loss, LOST_AT);
				await expectLoss(other, churn.pid, await restore(churn, other, images, source.port));
				expect(await source.ended).toEqual(loss === "server" ? KILLED : FAILED);
				if (loss === "connection") expect(source.readLog()).toMatch(GIVER_SAID);
				await churn.command("write", 20);
				await churn.expectIntact("the loss");
				await churn.cycle(undefined);
				await churn.expectIntact("another dump");
			} finally {
				await other.close();
			}
		},
		TIMEOUT,
	);
});
