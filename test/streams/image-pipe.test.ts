// SPDX-License-Identifier: GPL-2.0-only
// Images as one stream (-D -): cut anywhere, altered or out of order it restores nothing and leaves nothing behind; when its reader goes
// away the tree runs on. Both where the restore takes pages into memory and where the root reads them itself.

import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { HEAD_SIZE, RECORD, RECORD_SIZE } from "../../src/engine/image-pipe.ts";
import { describeAsRoot } from "../as-root.ts";
import { Churn, type CriuRun, criu } from "../pages/churn.ts";

const TIMEOUT = 900_000;
const FAILED = { how: "exit", code: 1 } as const;
const DONE = { how: "exit", code: 0 } as const;
const ORIGIN = 16;
const PAGES = 600;

interface Piece {
	type: number;
	at: number;
	end: number;
}

function listRecords(stream: Buffer): Piece[] {
	const records: Piece[] = [];
	for (let at = HEAD_SIZE; at < stream.length; ) {
		const end = at + RECORD_SIZE + Number(stream.readBigUInt64LE(at + 8));
		records.push({ type: stream.readUInt32LE(at), at, end });
		at = end;
	}
	return records;
}

/** Streams that no dump writes, with the code of the error for each. */
function spoil(stream: Buffer): [what: string, bytes: Buffer, code: string][] {
	const records = listRecords(stream);
	const find = (type: number) => records.find((record) => record.type === type) as Piece;
	const [name, data, whole, plan, pages, end] = Object.values(RECORD).map(find) as [
		Piece,
		Piece,
		Piece,
		Piece,
		Piece,
		Piece,
	];
	const last = records.filter(({ type }) => type === RECORD.pages).at(-1) as Piece;
	const cuts = [0, 5, HEAD_SIZE - 1, HEAD_SIZE, name.end - 2, data.end - 1, plan.at, plan.end - 1, plan.end]
		.concat([pages.at + RECORD_SIZE, pages.at + RECORD_SIZE + 5000, last.end - 1, end.at, end.end - 1])
		.map((at): [string, Buffer, string] => [`cut at ${at}`, stream.subarray(0, at), "STREAM_CUT"]);
	const without = ({ at, end }: Piece) => Buffer.concat([stream.subarray(0, at), stream.subarray(end)]);
	const altered = (at: number) => {
		const copy = Buffer.from(stream);
		copy[at] = (copy[at] as number) ^ 0x55;
		return copy;
	};
	const corrupt: [string, Buffer][] = [
		["garbage", Buffer.from("a log line that somebody prints into the pipe, long enough for a head\n".repeat(50))],
		["another magic", altered(0)],
		["an image that doesn't end", without(whole)],
		["data without an image", without(name)],
		["missing data", without(data)],
		["missing pages", without(last)],
		["no plan", without(plan)],
		["pages of a wrong length", altered(pages.at + 9)],
		["a wrong total", altered(end.at + RECORD_SIZE)],
		["a record of an unknown type", altered(data.at)],
		["the end in the middle", Buffer.concat([stream.subarray(0, plan.at), stream.subarray(end.at)])],
	];
	return [
		...cuts,
		...corrupt.map(([what, bytes]): [string, Buffer, string] => [what, bytes, "STREAM_CORRUPT"]),
		["another version", altered(8), "STREAM_VERSION"],
	];
}

/** As if it came from another host. */
function foreign(stream: Buffer): Buffer {
	const copy = Buffer.from(stream);
	if (copy.length > ORIGIN) copy[ORIGIN] = (copy[ORIGIN] as number) ^ 1;
	return copy;
}

async function shell(churn: Churn, line: string): Promise<CriuRun> {
	const log = join(churn.dir, "shell");
	const ending = await churn.stage.run(log, churn.dir, ["bash", "-c", `set -o pipefail; ${line}`]);
	return { ending, output: readFileSync(log, "utf8") };
}

function countProcesses(churn: Churn): number {
	const proc = dirname(churn.stage.procPath(churn.pid));
	return readdirSync(proc).filter((name) => /^\d+$/.test(name)).length;
}

describeAsRoot("a stream of images", () => {
	test(
		"that is cut, damaged or out of order restores nothing and leaves nothing behind",
		async () => {
			await using churn = await Churn.start(PAGES);
			await churn.command("write", 500);
			const dumped = await shell(churn, `${criu} dump -t ${churn.pid} -D - >stream`);
			expect(dumped.ending, dumped.output).toEqual(DONE);
			await churn.stage.died(churn.pid);
			const stream = readFileSync(join(churn.dir, "stream"));
			const before = countProcesses(churn);
			for (const [what, bytes, code] of spoil(stream))
				for (const input of [bytes, foreign(bytes)]) {
					writeFileSync(join(churn.dir, "bad"), input);
					const { ending, output } = await shell(churn, `cat bad | ${criu} restore -d -D -`);
					expect(ending, `${what}: ${output}`).toEqual(FAILED);
					expect(output, what).toContain(code);
					expect(countProcesses(churn), what).toBe(before);
				}
			writeFileSync(join(churn.dir, "good"), foreign(stream));
			const restored = await shell(churn, `cat good | ${criu} restore -d -D -`);
			expect(restored.ending, restored.output).toEqual(DONE);
			await churn.expectIntact("the restore");
		},
		TIMEOUT,
	);

	test(
		"whose reader goes away harms nobody; a whole one goes from a dump to a restore",
		async () => {
			await using churn = await Churn.start(PAGES);
			await churn.command("write", 500);
			const dump = `${criu} dump -t ${churn.pid} -D -`;
			for (const bytes of [0, 30, 3000, 200_000]) {
				const { ending, output } = await shell(churn, `${dump} | head -c ${bytes} >/dev/null`);
				expect(ending, output).toEqual(FAILED);
				expect(output).toContain("STREAM_BROKEN");
				await churn.expectIntact(`a reader that ended after ${bytes} bytes`);
			}
			const live = await shell(churn, `${dump} -R -v4 -o - --display-stats >live`);
			expect(live.ending, live.output).toEqual(DONE);
			expect(live.output).toContain("Dumping finished successfully");
			await churn.expectIntact("a dump that leaves it running");
			const { ending, output } = await shell(churn, `${dump} | ${criu} restore -d -D -`);
			expect(ending, output).toEqual(DONE);
			await churn.stage.died(churn.pid);
			await churn.expectIntact("the way through a pipe");
			expect(readdirSync(churn.dir).filter((name) => name.startsWith("stats"))).toEqual([]);
		},
		TIMEOUT,
	);

	test(
		"needs a pipe, dump or restore, and images that hold all",
		async () => {
			await using churn = await Churn.start(1);
			const pid = churn.pid;
			for (const [line, text] of [
				[`script -qec "${criu} dump -t ${pid} -D -" /dev/null`, "STREAM_TERMINAL"],
				[`script -qec "${criu} restore -D -" /dev/null`, "STREAM_TERMINAL"],
				[`${criu} pre-dump -t ${pid} -D - | cat`, "PIPE_COMMAND"],
				[`${criu} dump -t ${pid} -D - --track-mem -R | cat`, "-D - can't be used together with --track-mem"],
				[`${criu} dump -t ${pid} -D - --stream | cat`, "-D - can't be used together with --stream"],
				[`cat /dev/null | ${criu} restore -D - --map-pages`, "-D - can't be used together with --map-pages"],
			] as const) {
				const { ending, output } = await shell(churn, line);
				expect(ending, output).toEqual(FAILED);
				expect(output).toContain(text);
			}
			await churn.expectIntact("refusals");
		},
		TIMEOUT,
	);
});
