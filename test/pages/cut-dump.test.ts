// SPDX-License-Identifier: GPL-2.0-only
// Dumps to a page server that lose it in the middle of the memory: the connection is cut, or the server is killed. The dump says so
// in one line, the program goes on and can be dumped again, into the same directories, and what's there is no whole dump to anybody.

import { expect, test } from "bun:test";
import { cpSync } from "node:fs";
import { describeAsRoot } from "../as-root.ts";
import { Churn, type CriuRun } from "./churn.ts";
import { type Loss, serveLossily } from "./lossy.ts";

const TIMEOUT = 300_000;
/** 16 MiB. */
const PAGES = 4096;
const CUT_AT = 5 << 20;
const FAILED = { how: "exit", code: 1 } as const;
/** The second line is the original's, for those who look for it. */
const ONE_LINE =
	/^error: the connection between dump and page server was cut: [^\n]* \[PAGE_CONNECTION\]\nError \([^\n]*: Dumping FAILED\.\n$/;
const KILLED = { how: "signal", code: 9 } as const;
const DONE = { how: "exit", code: 0 } as const;

/** A dump of the program through a server of its own. */
async function dump(churn: Churn, images: string, pages: string, loss: Loss) {
	const server = await serveLossily(churn, ["page-server", "-D", pages], loss, { side: "dump", bytes: CUT_AT });
	const to = ["--page-server", "--address", "127.0.0.1", "--port", `${server.port}`];
	const client = await churn.criu(churn.arguments("dump", images, undefined, ...to));
	return { client, server: await server.ended };
}

/** What a restore says to images and pages in one directory. */
async function restoreTogether(churn: Churn, ...parts: string[]): Promise<CriuRun> {
	const together = churn.makeImages();
	for (const part of parts) cpSync(part, together, { recursive: true });
	return churn.criu(["restore", "-d", "-D", together]);
}

describeAsRoot("a dump that loses its page server in the middle", () => {
	test.each(["connection", "server"] as const)(
		"by the loss of the %s",
		async (loss) => {
			await using churn = await Churn.start(PAGES);
			const [images, pages] = [churn.makeImages(), churn.makeImages()];
			const lose = async (when: string) => {
				const { client, server } = await dump(churn, images, pages, loss);
				expect(client.ending, when).toEqual(FAILED);
				expect(client.output, when).toMatch(ONE_LINE);
				expect(server, when).toEqual(loss === "server" ? KILLED : FAILED);
				await churn.expectIntact(when);
				const refused = await restoreTogether(churn, images, pages);
				expect(refused.ending, when).toEqual(FAILED);
				expect(refused.output, when).toMatch(/\[(DUMP_INCOMPLETE|IMAGE_MISSING)\]/);
			};
			await lose("the loss");
			await churn.command("write", 20);
			const again = await dump(churn, images, pages, "nothing");
			expect([again.client, again.server]).toEqual([{ ending: DONE, output: "" }, DONE]);
			await churn.stage.died(churn.pid);
			churn.checkImages(pages);
			expect((await restoreTogether(churn, images, pages)).ending).toEqual(DONE);
			await churn.expectIntact("the restore");
			// Over images that were whole.
			await lose("another loss");
		},
		TIMEOUT,
	);
});
