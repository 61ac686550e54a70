// SPDX-License-Identifier: GPL-2.0-only
// What criu takes and refuses on its command line, side by side with the original: same exit code, usage text or not.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { GetoptError, readCommandLine } from "../../src/cli/command-line.ts";
import { BadChoiceError } from "../../src/cli/option-spec.ts";
import { findPeer } from "../peer.ts";
import { COMMANDS, commandLines, NEW_IN_42, STRICTER } from "./acceptance.ts";

const CRIU = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");
const peer = findPeer();
const why = "missing" in peer ? ` (${peer.missing})` : "";
const dir = mkdtempSync(join(tmpdir(), "criu-acceptance-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Verdict {
	code: number;
	usage: boolean;
}

async function run(criu: string, words: string[], cwd: string): Promise<Verdict> {
	const child = Bun.spawn([criu, ...words], {
		cwd,
		env: { HOME: cwd, PATH: "/usr/sbin:/usr/bin:/bin" },
		stdio: ["ignore", "pipe", "ignore"],
	});
	const out = await new Response(child.stdout).text();
	return { code: await child.exited, usage: out.includes("Usage:") };
}

/** How many options go into one call of the original: all that criu takes must be taken together as well. */
const BATCH = 50;

/** Our verdict on the options alone, as before `--version` at the end of the line. */
function judge(words: string[]): Verdict {
	try {
		const { answer } = readCommandLine(["dump", ...words, "-V"], { HOME: dir });
		return { code: answer === undefined ? 1 : 0, usage: answer === "help" };
	} catch (error) {
		return { code: 1, usage: error instanceof GetoptError || error instanceof BadChoiceError };
	}
}

/** Asks for each, several at a time. */
async function mapAll<T, R>(items: readonly T[], ask: (item: T, index: number) => Promise<R>): Promise<R[]> {
	const results: R[] = [];
	const todo = items.entries();
	const work = async () => {
		for (const [index, item] of todo) results[index] = await ask(item, index);
	};
	await Promise.all(Array.from({ length: availableParallelism() + 1 }, work));
	return results;
}

describe("beside the original", () => {
	test.skipIf("missing" in peer)(
		`takes and refuses the same options${why}`,
		async () => {
			if ("missing" in peer) return;
			for (const line of STRICTER) expect({ line, ...judge([line]) }).toEqual({ line, code: 1, usage: false });
			const lines = commandLines().filter((words) => !NEW_IN_42.test(words.join(" ")));
			expect(lines.length).toBeGreaterThan(380);
			const isTaken = (words: string[]) => judge(words).code === 0 && !judge(words).usage;
			const taken = lines.filter(isTaken);
			const batches = Array.from({ length: Math.ceil(taken.length / BATCH) }, (_, i) =>
				taken.slice(i * BATCH, (i + 1) * BATCH),
			);
			const ask = (words: string[]) => run(peer.criu, ["dump", ...words, "-V"], dir);
			const good = await mapAll(batches, (batch) => ask(batch.flat()));
			// A batch with one that the original refuses, line by line; and all that we refuse.
			const single = [
				...batches.filter((_, index) => good[index]?.code !== 0).flat(),
				...lines.filter((words) => !isTaken(words)),
			];
			const theirs = await mapAll(single, ask);
			const differ = single.flatMap((words, index) => {
				const ours = judge(words);
				return Bun.deepEquals(ours, theirs[index]) ? [] : [{ line: words.join(" "), ours, theirs: theirs[index] }];
			});
			expect(differ).toEqual([]);
		},
		180_000,
	);

	test.skipIf("missing" in peer)(
		`answers whole commands with the same exit code${why}`,
		async () => {
			if ("missing" in peer) return;
			const ask = (criu: string) => (command: string, index: number) => {
				const own = join(dir, `${criu === CRIU ? "ours" : "peer"}-${index}`);
				mkdirSync(own);
				const words = command.split(" ").filter((word) => word !== "");
				return run(
					criu,
					words.map((word) => word.replace("DIR", own)),
					own,
				);
			};
			const theirs = await mapAll(COMMANDS, ask(peer.criu));
			const ours = await mapAll(COMMANDS, ask(CRIU));
			const differ = COMMANDS.flatMap((command, index) =>
				Bun.deepEquals(ours[index], theirs[index]) ? [] : [{ command, ours: ours[index], theirs: theirs[index] }],
			);
			expect(differ).toEqual([]);
		},
		180_000,
	);
});
