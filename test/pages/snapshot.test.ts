// SPDX-License-Identifier: GPL-2.0-only
// Dumps of a program that stands still only while its memory is protected: its images are of one instant, whatever it writes
// meanwhile, and it goes on unharmed when criu dies or fails before all is copied.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
	closeSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	readSync,
	rmSync,
	writeFileSync,
	writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FAULT_POINTS } from "../../src/fault.ts";
import { ImageDir, KINDS } from "../../src/images/index.ts";
import { listFiles, openChainFile, readChain } from "../../src/pages/chain.ts";
import { splitPieces } from "../../src/pages/snapshot.ts";
import { describeAsRoot } from "../as-root.ts";
import { buildStage } from "../matrix/scenario.ts";
import { type Ending, Stage } from "../matrix/stage.ts";
import { until } from "../until.ts";
import { build, criu } from "./churn.ts";

const isRoot = process.getuid?.() === 0;
const TIMEOUT = 900_000;
const PAGES = 2048;
/** So many that it pays to copy them ahead. */
const MANY_PAGES = 4608;
const [CHURN, SLOWLY, GROW] = [1, 2, 4];
const DONE = { how: "exit", code: 0 } as const;
const dir = mkdtempSync(join(tmpdir(), "snapshot-"));
const pagePath = join(dir, "page");
let stage: Stage;
let program: string;
let runs = 0;
/** Of an area of the program. */
let pageCount = PAGES;

beforeAll(async () => {
	if (!isRoot) return;
	stage = await Stage.open({ program: await buildStage(), log: join(dir, "stage.log") });
	program = await build("steps");
});

afterAll(async () => {
	if (isRoot) await stage.close();
	rmSync(dir, { recursive: true, force: true });
});

/** What the program tells of itself. */
function look(): { step: bigint; errors: bigint; areas: [bigint, bigint] } {
	const words = new BigUint64Array(new Uint8Array(readFileSync(pagePath)).buffer);
	const [step = 0n, errors = 0n, , first = 0n, second = 0n] = words;
	return { step, errors, areas: [first, second] };
}

async function start(pages: number, ...more: string[]): Promise<number> {
	pageCount = pages;
	writeFileSync(pagePath, new Uint8Array(4096));
	const pid = await stage.start(join(dir, "out"), dir, [program, pagePath, String(pages), ...more]);
	await until("the start", () => look().step > BigInt(pages));
	return pid;
}

/** Tells the program what to do. */
function command(what: number): void {
	const fd = openSync(pagePath, "r+");
	writeSync(fd, new Uint8Array([what]), 0, 1, 16);
	closeSync(fd);
}

/** It goes on, and finds nothing wrong when it has written to each page again. */
async function expectUnharmed(when: string): Promise<void> {
	const { step } = look();
	await until(`progress: ${when}`, () => look().step > step + BigInt(2 * pageCount));
	expect(look().errors, when).toBe(0n);
}

interface Run {
	ending: Ending;
	output: string;
	images: string;
}

async function dump(pid: number, fault?: string, ...more: string[]): Promise<Run> {
	const images = mkdtempSync(join(dir, "images-"));
	const log = join(dir, `run${runs++}`);
	const env = fault === undefined ? [] : ["env", `CR_FAULT=${fault}`];
	const args = ["dump", "-t", String(pid), "-D", images, "-R", "--snapshot", ...more];
	const ending = await stage.run(log, dir, [...env, criu, ...args]);
	return { ending, output: readFileSync(log, "utf8"), images };
}

/** Dumps a program, ends it and restores it: it's as it was when it was dumped. */
async function bringBack(pid: number): Promise<void> {
	const { images } = await dump(pid);
	await stage.kill(pid, 9);
	await stage.died(pid);
	const log = join(dir, "restore");
	const ending = await stage.run(log, dir, [criu, "restore", "-d", "-D", images]);
	expect({ ending, output: readFileSync(log, "utf8") }).toEqual({ ending: DONE, output: "" });
}

/** First words of the pages of an area; of shared memory that of its first page. */
function readImage(images: string, pid: number, areas: readonly bigint[]): { area: bigint[][]; shared: bigint } {
	using from = ImageDir.open(images);
	const word = new BigUint64Array(1);
	const wordAt = (chain: NonNullable<ReturnType<typeof readChain>>, addresses: readonly bigint[]) => {
		const fds = listFiles(chain).map((file) => openChainFile(from, file, chain.file));
		const words = addresses.map((at) => {
			const run = chain.runs.find((one) => one.address <= at && at < one.address + one.bytes);
			if (run === undefined) return 0n;
			readSync(fds[0] as number, new Uint8Array(word.buffer), 0, 8, Number(run.offset + at - run.address));
			return word[0] as bigint;
		});
		for (const fd of fds) closeSync(fd);
		return words;
	};
	const own = readChain(from, KINDS.PAGEMAP, pid);
	const shmid = /^pagemap-shmem-(\d+)\.img$/m.exec(from.list().join("\n"))?.[1];
	const segment = readChain(from, KINDS.SHMEM_PAGEMAP, Number(shmid));
	if (own === undefined || segment === undefined) throw new Error(`${images}: pagemaps are missing`);
	const pages = Array.from({ length: pageCount }, (_, i) => BigInt(i * 4096));
	const area = areas.map((base) =>
		wordAt(
			own,
			pages.map((at) => base + at),
		),
	);
	return { area, shared: wordAt(segment, [0n])[0] ?? 0n };
}

/** Throws unless all pages are of one instant: that at which the counter in shared memory was what it is. */
function checkImages(images: string, pid: number): void {
	const { area, shared } = readImage(images, pid, look().areas);
	const count = BigInt(pageCount);
	const wanted = (t: bigint) => Array.from({ length: pageCount }, (_, p) => t - ((t + count - BigInt(p)) % count));
	const steps = area.map((words) => words.toSorted((a, b) => Number(b - a))[0] ?? 0n);
	for (const [i, words] of area.entries()) expect(words, `area ${i}`).toEqual(wanted(steps[i] as bigint));
	const [first = 0n, second = 0n] = steps;
	expect([shared - first, first - second, shared - second].every((late) => late === 0n || late === 1n)).toBe(true);
}

/** Processes of criu that are left in the stage. */
function listLeft(): string[] {
	const proc = `/proc/${stage.outerPid}/root/proc`;
	return readdirSync(proc).filter((pid) => {
		try {
			return /^\d+$/.test(pid) && /^criu/.test(readFileSync(`${proc}/${pid}/comm`, "latin1"));
		} catch {
			return false;
		}
	});
}

describeAsRoot("a snapshot of a program that runs on", () => {
	for (const kind of ["ordinary", "huge"])
		test(
			`is of one instant: ${kind} pages`,
			async () => {
				const pid = await start(PAGES, ...(kind === "huge" ? ["thp"] : []));
				for (let round = 0; round < 3; round++) {
					const { ending, output, images } = await dump(pid);
					expect({ ending, output }).toEqual({ ending: DONE, output: "" });
					checkImages(images, pid);
					await expectUnharmed(`snapshot ${round}`);
					rmSync(images, { recursive: true });
				}
				await bringBack(pid);
				await expectUnharmed("the restore");
				await stage.kill(pid, 9);
				await stage.died(pid);
				expect(listLeft()).toEqual([]);
			},
			TIMEOUT,
		);

	for (const kind of ["root", "user"])
		test(
			`is of one instant where memory was copied ahead: ${kind === "root" ? "ordinary pages" : "no privileges, huge pages"}`,
			async () => {
				const pid = await start(MANY_PAGES, ...(kind === "root" ? [] : [kind]));
				for (const what of kind === "root" ? [0, CHURN] : [GROW, CHURN | GROW]) {
					command(SLOWLY | what);
					const { ending, output, images } = await dump(pid, undefined, "-v4");
					expect(ending, output).toEqual(DONE);
					expect(output).toContain("stage rehearse:");
					expect(output).not.toContain("rehearsal failed");
					expect(output, `doing ${what}`).toContain("has been copied ahead");
					checkImages(images, pid);
					command(what);
					await expectUnharmed(`snapshot, doing ${what}`);
					rmSync(images, { recursive: true });
				}
				for (const point of ["snapshot:held", "snapshot:ahead"]) {
					command(SLOWLY);
					const action = kind === "root" ? "kill" : "error";
					const { ending } = await dump(pid, `${point}:${action}`);
					expect(ending).toEqual(action === "kill" ? { how: "signal", code: 9 } : { how: "exit", code: 1 });
					command(0);
					await expectUnharmed(`${action} at ${point}`);
				}
				command(SLOWLY | GROW);
				await bringBack(pid);
				command(0);
				await expectUnharmed("the restore");
				await stage.kill(pid, 9);
				await stage.died(pid);
				expect(listLeft()).toEqual([]);
			},
			TIMEOUT,
		);

	test(
		"leaves the program unharmed when criu dies or fails before all is copied",
		async () => {
			const pid = await start(PAGES);
			const maps = `${stage.procPath(pid)}/maps`;
			const before = readFileSync(maps, "latin1");
			for (const point of FAULT_POINTS.filter((one) => /^snapshot:(armed|running|copied)$/.test(one)))
				for (const action of ["kill", "error"]) {
					const { ending, images } = await dump(pid, `${point}:${action}`);
					expect(ending).toEqual(action === "kill" ? { how: "signal", code: 9 } : { how: "exit", code: 1 });
					expect(readdirSync(images)).not.toContain("inventory.img");
					await expectUnharmed(`${action} at ${point}`);
					await until("the last guard's end", () => listLeft().length === 0);
					expect(readFileSync(maps, "latin1")).toBe(before);
				}
			const { ending, images } = await dump(pid);
			expect(ending).toEqual(DONE);
			checkImages(images, pid);
			await stage.kill(pid, 9);
			await stage.died(pid);
		},
		TIMEOUT,
	);

	test(
		"gives way to a plain dump when memory goes away, or where it can't be made",
		async () => {
			const pid = await start(PAGES);
			command(CHURN);
			for (let round = 0; round < 3; round++) {
				const { ending, output, images } = await dump(pid);
				expect(ending).toEqual(DONE);
				expect(output).toMatch(/^(|.*the snapshot failed, a plain dump follows: memory was unmapped.*\n)$/);
				checkImages(images, pid);
				await expectUnharmed(`round ${round}`);
			}
			const tracked = await dump(pid, undefined, "--track-mem");
			expect(tracked.output).toContain(
				"no snapshot, the tree stands still until its memory is copied: its writes are tracked",
			);
			checkImages(tracked.images, pid);
			await expectUnharmed("a tracked dump");
			await stage.kill(pid, 9);
			await stage.died(pid);
		},
		TIMEOUT,
	);
});

describe("pages of a snapshot", () => {
	test("are divided into what is copied at once and what later, each with its place in the file", () => {
		const pieces = BigUint64Array.of(0x1000n, 0x3000n, 0x8001n, 0x4000n, 0x20000n, 0x1000n);
		const later = [
			{ start: 0x2000n, end: 0x3000n, isHuge: false },
			{ start: 0x9000n, end: 0x30000n, isHuge: true },
		];
		expect(splitPieces(pieces, 0n, later)).toEqual({
			now: [
				{ offset: 0n, pieces: [0x1000n, 0x1000n] },
				{ offset: 0x2000n, pieces: [0x3000n, 0x1000n, 0x8001n, 0x1000n] },
			],
			late: [
				[0x2000n, 0x1000n, 0x1000n, 0n],
				[0x9000n, 0x3000n, 0x4000n, 3n],
				[0x20000n, 0x1000n, 0x7000n, 2n],
			].flat(),
			copied: [],
		});
		const copied = [{ start: 0x2000n, end: 0x9000n, isHuge: false, isCopied: true }];
		expect(splitPieces(pieces, 0n, copied)).toEqual({
			now: [
				{ offset: 0n, pieces: [0x1000n, 0x1000n] },
				{ offset: 0x4000n, pieces: [0x9001n, 0x3000n, 0x20000n, 0x1000n] },
			],
			late: [],
			copied: [
				{ start: 0x2000n, end: 0x4000n, offset: 0x1000n },
				{ start: 0x8000n, end: 0x9000n, offset: 0x3000n },
			],
		});
		expect(splitPieces(pieces, 0n, []).now).toEqual([{ offset: 0n, pieces: [...pieces] }]);
	});
});
