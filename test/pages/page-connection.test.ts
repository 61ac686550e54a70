// SPDX-License-Identifier: GPL-2.0-only
// Dumps to a page server over a connection that breaks anywhere, or whose server is killed: the error is clear, the target goes on,
// the server keeps nothing, and no older image loses a page before the newer one is whole.

import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { Churn, type CriuRun, countPages, criu } from "./churn.ts";

const TIMEOUT = 900_000;
const WAIT_MS = 60_000;
const PAGES = 64;
const FAILED = { how: "exit", code: 1 } as const;
const DONE = { how: "exit", code: 0 } as const;
const CUT = /error: (the connection between dump and page server was cut|cannot pass 'PS_)/;

/** Where the connection ends: after so many bytes of one side; with `kills` the server dies then. */
interface Cut {
	side: "dump" | "server" | "none";
	after: number;
	kills?: boolean;
}
const NO_CUT: Cut = { side: "none", after: 0 };

/** Waits for a file to hold something. */
async function awaitText(path: string, pattern: RegExp): Promise<string> {
	const deadline = performance.now() + WAIT_MS;
	for (;;) {
		const found = existsSync(path) ? pattern.exec(readFileSync(path, "utf8"))?.[1] : undefined;
		if (found !== undefined) return found;
		if (performance.now() > deadline) throw new Error(`${path}: no sign of ${pattern}`);
		await Bun.sleep(2);
	}
}

interface Transfer {
	client: CriuRun;
	server: CriuRun;
	/** Bytes that came from the dump, and from the server. */
	bytes: [number, number];
	/** Of the dump, and of the server. */
	images: string;
	pages: string;
}

let runs = 0;

/** A dump through a page server of its own, whose images build on those of another one. */
async function transfer(
	churn: Churn,
	before: Transfer | undefined,
	cut: Cut,
	fault?: string,
	...more: string[]
): Promise<Transfer> {
	const [images, pages] = [churn.makeImages(), churn.makeImages()];
	if (before !== undefined) symlinkSync(`../${basename(before.pages)}`, join(pages, "parent"));
	const [serverLog, wireLog] = ["server", "wire"].map((name) => join(churn.dir, `${name}${runs}.log`)) as [
		string,
		string,
	];
	runs++;
	const pidfile = `${serverLog}.pid`;
	const shell = 'echo $$ >"$0"; exec "$@"';
	const dirs = ["-D", pages, "-W", churn.dir, "-v4", "-o", basename(serverLog)];
	const command = [criu, "page-server", "--auto-dedup", ...dirs, "--address", "127.0.0.1"];
	const serving = churn.stage.run(`${serverLog}.out`, churn.dir, ["sh", "-c", shell, pidfile, ...command]);
	const serverPort = await awaitText(serverLog, /port (\d+)\n/);
	const killed = cut.kills ? [readFileSync(pidfile, "latin1").trim()] : [];
	const program = join(import.meta.dir, "cut-wire.py");
	const wiring = churn.stage.run(wireLog, churn.dir, [
		"python3",
		program,
		serverPort,
		cut.side,
		String(cut.after),
		...killed,
	]);
	const port = await awaitText(wireLog, /^(\d+)\n/);
	const to = ["--page-server", "--address", "127.0.0.1", "--port", port, "-v4"];
	const client = await churn.criu(churn.arguments("pre-dump", images, before?.images, ...to, ...more), fault);
	const ending = await serving;
	await wiring;
	const counts = readFileSync(wireLog, "latin1").trim().split(/\s+/).map(Number);
	const server = { ending, output: readFileSync(serverLog, "utf8") };
	return { client, server, bytes: [counts[1] ?? 0, counts[2] ?? 0], images, pages };
}

/** Blocks of all pages files of a directory, of 512 bytes. */
function countBlocks(dir: string): number {
	const files = readdirSync(dir).filter((name) => name.startsWith("pages-"));
	return files.reduce((sum, name) => sum + statSync(join(dir, name)).blocks, 0);
}

/** Where a connection is cut that carries so many bytes: around each header, and here and there. */
function listCuts([dump, server]: readonly [number, number]): Cut[] {
	const cuts: Cut[] = [0, 23, 100, dump >> 1, dump - 1, dump].map((after) => ({ side: "dump", after }));
	for (const after of [5, server - 1]) cuts.push({ side: "server", after });
	cuts.push({ side: "dump", after: dump - 5000, kills: true });
	return cuts;
}

describeAsRoot("a page server's connection", () => {
	test(
		"may be cut anywhere",
		async () => {
			await using churn = await Churn.start(PAGES);
			const whole = await transfer(churn, undefined, NO_CUT);
			expect(whole.client.ending).toEqual(DONE);
			expect(whole.server.ending).toEqual(DONE);
			churn.checkImages(whole.pages);
			const blocks = countBlocks(whole.pages);
			for (const cut of listCuts(whole.bytes)) {
				const { client, server, images, pages } = await transfer(churn, undefined, cut);
				const where = JSON.stringify(cut);
				expect({ where, ...client.ending }).toEqual({ where, ...FAILED });
				expect(client.output, where).toMatch(CUT);
				expect(readdirSync(images), where).not.toContain("inventory.img");
				if (cut.kills) expect(server.ending.how, where).toBe("signal");
				else if (cut.side === "dump" && cut.after < whole.bytes[0]) {
					expect({ where, ...server.ending }).toEqual({ where, ...FAILED });
					expect(readdirSync(pages), where).toEqual([]);
				}
			}
			await churn.expectIntact("all cuts");
			expect(countBlocks(whole.pages)).toBe(blocks);
		},
		TIMEOUT,
	);

	test(
		"tells whether the dump is whole: only then pages are freed in older images",
		async () => {
			await using churn = await Churn.start(PAGES);
			const first = await transfer(churn, undefined, NO_CUT);
			churn.checkImages(first.pages);
			const blocks = countBlocks(first.pages);
			let last = first;
			for (const action of ["error", "kill"]) {
				await churn.command("write", 20);
				const failed = await transfer(churn, last, NO_CUT, `pre-dump:tracked:${action}`);
				expect(failed.client.ending.how).toBe(action === "kill" ? "signal" : "exit");
				expect(failed.server.output).toContain("nothing is freed in older images");
				expect(countBlocks(first.pages)).toBe(blocks);
				// What came is whole: it is only not known to be needed.
				churn.checkImages(failed.pages);
			}
			await churn.command("write", 20);
			last = await transfer(churn, first, NO_CUT);
			expect(last.client.ending).toEqual(DONE);
			expect(last.server.output).toMatch(/[1-9]\d* pages freed in older images/);
			expect(countBlocks(first.pages)).toBeLessThan(blocks);
			churn.checkImages(last.pages);
			await churn.command("write", 20);
			const third = await transfer(churn, last, NO_CUT);
			expect(countPages(third.pages)).toBeLessThan(PAGES);
			churn.checkImages(third.pages);
		},
		TIMEOUT,
	);
});
