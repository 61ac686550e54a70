// SPDX-License-Identifier: GPL-2.0-only
// Restores that map memory from the images: copies share what they don't write, later dumps are whole without the first images,
// and images that others could change, or that are in use, are protected as far as that goes.

import { afterAll, beforeAll, expect, test } from "bun:test";
import {
	chmodSync,
	closeSync,
	cpSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readFileSync,
	readSync,
	rmSync,
	statSync,
	writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vma_entrySchema } from "../../src/images/gen/mm_pb.ts";
import { create } from "../../src/images/index.ts";
import { choosePieces } from "../../src/kinds/mm/mapped.ts";
import { describeAsRoot } from "../as-root.ts";
import { until } from "../until.ts";
import { build, criu } from "./churn.ts";

const TIMEOUT = 300_000;
const WAIT_MS = 120_000;
const BYTES = 4 << 20;
const PAGE = 4096;
const EINVAL = 22;
const dir = mkdtempSync(join(tmpdir(), "mapped-"));
const out = join(dir, "out");
const images = join(dir, "images");
const alive = new Set<number>();
let area = 0;
let restored = 0;

function run(...args: string[]): { code: number; output: string } {
	const { exitCode, stdout, stderr } = Bun.spawnSync([criu, ...args], { timeout: WAIT_MS });
	return { code: exitCode, output: `${stdout}${stderr}` };
}

/** A copy in a pid namespace of its own; its pid here. */
function restore(from: string, ...more: string[]): number {
	const pidfile = join(dir, `pid${restored++}`);
	const { code, output } = run("restore", "-d", "--new-pidns", "-D", from, "--pidfile", pidfile, ...more);
	expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining("runs as pid") });
	const pid = Number(readFileSync(pidfile, "latin1"));
	alive.add(pid);
	return pid;
}

function end(pid: number): void {
	process.kill(pid, "SIGKILL");
	alive.delete(pid);
}

/** The program's memory as it reads it. */
function readMemory(pid: number): BigUint64Array {
	const fd = openSync(`/proc/${pid}/mem`, "r");
	const words = new BigUint64Array(BYTES / 8);
	expect(readSync(fd, new Uint8Array(words.buffer), 0, BYTES, area)).toBe(BYTES);
	closeSync(fd);
	return words;
}

function write(pid: number, index: number, value: bigint): void {
	const fd = openSync(`/proc/${pid}/mem`, "r+");
	expect(writeSync(fd, new Uint8Array(BigUint64Array.of(value).buffer), 0, 8, area + index * 8)).toBe(8);
	closeSync(fd);
}

/** The first word that isn't as the program has filled it, but for those that are known to differ. */
function findWrong(pid: number, known: Record<number, bigint> = {}): number {
	return readMemory(pid).findIndex((word, i) => word !== (known[i] ?? BigInt(i) * 3n));
}

function pssKb(pid: number): number {
	return Number(/^Pss: +(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "latin1"))?.[1]);
}

const mapsOf = (pid: number) => readFileSync(`/proc/${pid}/maps`, "latin1");

/** Images of its own to be mistreated. */
function copyImages(name: string): string {
	const to = join(dir, name);
	cpSync(images, to, { recursive: true });
	return to;
}

beforeAll(async () => {
	if (process.getuid?.() !== 0) return;
	const program = await build("copies");
	const child = Bun.spawn([program], { stdin: "ignore", stdout: Bun.file(out), stderr: "ignore", detached: true });
	await until("the start", () => readFileSync(out, "latin1").includes("\n"));
	area = Number.parseInt(readFileSync(out, "latin1").split(" ")[1] ?? "", 16);
	mkdirSync(images);
	expect(run("dump", "-t", String(child.pid), "-D", images, "--shell-job")).toEqual({ code: 0, output: "" });
	await child.exited;
}, TIMEOUT);

afterAll(() => {
	for (const pid of alive) process.kill(pid, "SIGKILL");
	rmSync(dir, { recursive: true, force: true });
});

test("large runs of plain pages are mapped, but for the last page of a mapping", () => {
	const page = 4096n;
	const vma = (start: bigint, end: bigint) => create(vma_entrySchema, { start, end });
	const vmas = [vma(0x10000n, 0x40000n), vma(0x40000n, 0x80000n)];
	const runs = [{ address: 0x20000n, bytes: 0x60000n, offset: 0n, level: 0 }];
	const pieces = choosePieces(vmas, runs, 10);
	expect(pieces).toEqual([
		{ address: 0x20000n, bytes: 0x1f000n, offset: 0n, level: 0 },
		{ address: 0x40000n, bytes: 0x3f000n, offset: 0x20000n, level: 0 },
	]);
	expect(choosePieces(vmas, runs, 1)).toEqual(pieces.slice(1));
	expect(choosePieces(vmas, [{ address: 0x20000n, bytes: 15n * page, offset: 0n, level: 0 }], 10)).toEqual([]);
});

describeAsRoot("restore --map-pages", () => {
	test(
		"copies share the pages that none of them writes, and give none back to the file",
		async () => {
			const copies = [1, 2, 3].map(() => restore(images, "--map-pages", "--shell-job"));
			const [first = 0, second = 0, third = 0] = copies;
			for (const pid of copies) {
				expect(mapsOf(pid)).toContain(`${images}/pages-1.img`);
				expect(findWrong(pid)).toBe(-1);
			}
			expect(copies.map(pssKb).reduce((a, b) => a + b)).toBeLessThan((1.5 * BYTES) / 1024);
			write(first, 4000, 7n);
			expect(findWrong(first, { 4000: 7n })).toBe(-1);
			expect(findWrong(second)).toBe(-1);
			process.kill(third, "SIGUSR1");
			await until("an answer", () => readMemory(third)[0] !== 0n);
			expect(findWrong(third, { 0: BigInt(1 + EINVAL) })).toBe(-1);

			// What frees pages of the images leaves those alone that are in use.
			const blocks = statSync(join(images, "pages-1.img")).blocks;
			const plain = join(dir, "pid-plain");
			const { code, output } = run(
				"restore",
				"-d",
				"--new-pidns",
				"--auto-dedup",
				"-D",
				images,
				"--pidfile",
				plain,
				"--shell-job",
			);
			end(Number(readFileSync(plain, "latin1")));
			expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining("has it as memory") });
			expect(statSync(join(images, "pages-1.img")).blocks).toBe(blocks);
			for (const pid of copies) end(pid);
		},
		TIMEOUT,
	);

	test(
		"pre-dumps, snapshots and dumps of what is mapped are whole without the images",
		() => {
			const from = copyImages("mapped-first");
			const pid = restore(from, "--map-pages", "--shell-job");
			write(pid, 100, 1n);
			const steps = ["a", "b", "c", "d"].map((name) => join(dir, name));
			const [snapshot = "", ahead = "", dumped = "", last = ""] = steps;
			for (const step of steps) mkdirSync(step);
			const target = ["-t", String(pid), "--shell-job"];
			expect(run("dump", ...target, "-D", snapshot, "-R", "--snapshot").code).toBe(0);
			expect(run("pre-dump", ...target, "-D", ahead).code).toBe(0);
			write(pid, BYTES / 16, 2n);
			expect(run("dump", ...target, "-D", dumped, "-R", "--track-mem", "--prev-images-dir", "../b").code).toBe(0);
			write(pid, BYTES / 8 - 1, 3n);
			expect(run("dump", ...target, "-D", last, "--prev-images-dir", "../c").code).toBe(0);
			alive.delete(pid);
			rmSync(from, { recursive: true });
			const changes = { 100: 1n, [BYTES / 16]: 2n, [BYTES / 8 - 1]: 3n };
			for (const [images, known] of [
				[snapshot, { 100: 1n }],
				[dumped, { 100: 1n, [BYTES / 16]: 2n }],
				[last, changes],
			] as const)
				for (const more of [[], ["--map-pages"]]) {
					const copy = restore(images, "--shell-job", ...more);
					expect(findWrong(copy, known)).toBe(-1);
					expect(mapsOf(copy).includes("pages-")).toBe(more.length > 0);
					end(copy);
				}
		},
		TIMEOUT,
	);

	test("images that others may change aren't mapped", () => {
		const from = copyImages("unsafe");
		const pages = join(from, "pages-1.img");
		const refused = (text: string) => {
			const { code, output } = run("restore", "-d", "--new-pidns", "-D", from, "--map-pages", "--shell-job");
			expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining("UNSAFE_IMAGES") });
			expect(output).toContain(text);
		};
		chmodSync(pages, 0o666);
		refused("others may write to it");
		chmodSync(pages, 0o600);
		const fd = openSync(pages, "r+");
		refused("open for writing");
		closeSync(fd);
		expect(run("restore", "-d", "-D", from, "--map-pages", "--lazy-pages").output).toContain("MAP_PAGES");
	});

	test(
		"memory whose images were changed isn't dumped",
		() => {
			const from = copyImages("changed");
			const pid = restore(from, "--map-pages", "--shell-job");
			const fd = openSync(join(from, "pages-1.img"), "r+");
			writeSync(fd, new Uint8Array(PAGE), 0, PAGE, BYTES / 2);
			closeSync(fd);
			const to = join(dir, "never");
			mkdirSync(to);
			const { code, output } = run("dump", "-t", String(pid), "-D", to, "--shell-job");
			expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining("MAPPED_IMAGES_CHANGED") });
			end(pid);
		},
		TIMEOUT,
	);
});
