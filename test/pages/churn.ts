// SPDX-License-Identifier: GPL-2.0-only
// Drives churn.c, a tree that changes its memory on command, and compares images with what it knows of its pages.

import {
	closeSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	readSync,
	renameSync,
	rmSync,
	statSync,
	writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { ImageDir, KINDS } from "../../src/images/index.ts";
import { listFiles, openChainFile, readChain } from "../../src/pages/chain.ts";
import type { PageRun } from "../../src/pages/pagemap.ts";
import { buildStage } from "../matrix/scenario.ts";
import { type Ending, Stage, showEnding } from "../matrix/stage.ts";

const root = join(import.meta.dir, "../..");
const SIGUSR1 = 10;
const PAGE = 4096;
const BOOKS = 4;
const AREAS = 8;
const VERSIONS = 16384;
const HEADER_SIZE = 32;
const AREA_SIZE = 16 + VERSIONS * 4;
const BOOK_SIZE = 32 + AREAS * AREA_SIZE;
const OBEY_MS = 120_000;

/** Where this test's criu is. */
export const criu = process.env["CRIU_BIN"] ?? join(root, "dist/criu");

const COMMANDS = { write: 1n, churn: 2n, verify: 3n, "be nobody": 4n };

let program: Promise<string> | undefined;
let bareProgram: Promise<string> | undefined;

/** Compiles a C program of this folder, with more flags under another name; gives its path. */
export async function build(name: string, as = name, ...flags: string[]): Promise<string> {
	const dir = join(root, "build/pages");
	mkdirSync(dir, { recursive: true });
	const target = join(dir, as);
	const draft = `${target}.${process.pid}`;
	const args = ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", join(import.meta.dir, `${name}.c`)];
	const child = Bun.spawn(["gcc", ...args, ...flags, "-o", draft], { stdout: "ignore", stderr: "pipe" });
	const text = await new Response(child.stderr).text();
	if ((await child.exited) !== 0) throw new Error(`cannot compile ${name}.c:\n${text}`);
	renameSync(draft, target);
	return target;
}

export interface CriuRun {
	ending: Ending;
	output: string;
}

interface Area {
	address: bigint;
	pages: number;
	versions: Uint32Array;
}

/** One tree in a pid namespace of its own. Close it. */
export class Churn {
	private runs = 0;
	private seq = 0n;
	private steps = 0n;
	pid = 0;

	private constructor(
		readonly stage: Stage,
		/** Everything of it lies here. */
		readonly dir: string,
	) {}

	/** Starts one with so many pages (at most 16384). `isBare`: nothing of its memory is its own and read-only. */
	static async start(pages: number, isBare = false): Promise<Churn> {
		const dir = mkdtempSync(join(tmpdir(), "churn-"));
		const stage = await Stage.open({ program: await buildStage(), log: join(dir, "stage.log") });
		const churn = new Churn(stage, dir);
		program ??= build("churn");
		if (isBare) bareProgram ??= build("churn", "bare-churn", "-static", "-no-pie", "-Wl,-z,norelro");
		const path = await (isBare ? bareProgram : program);
		churn.pid = await stage.start(join(dir, "out"), dir, [path as string, churn.bookPath, String(pages)]);
		await churn.until(
			"its start",
			() => statSync(churn.bookPath, { throwIfNoEntry: false })?.size && churn.book(0).pid > 0n,
		);
		return churn;
	}

	private get bookPath(): string {
		return join(this.dir, "book");
	}

	private async until(what: string, done: () => unknown): Promise<void> {
		const deadline = performance.now() + OBEY_MS;
		while (!done()) {
			if (performance.now() > deadline) throw new Error(`churn: no sign of ${what}`);
			await Bun.sleep(1);
		}
	}

	private read(at: number, length: number): Buffer {
		const bytes = Buffer.alloc(length);
		const fd = openSync(this.bookPath, "r");
		readSync(fd, bytes, 0, length, at);
		closeSync(fd);
		return bytes;
	}

	private book(index: number): { pid: bigint; done: bigint; errors: bigint; wrote: bigint } {
		const bytes = this.read(HEADER_SIZE + index * BOOK_SIZE, 32);
		const [pid = 0n, done = 0n, errors = 0n, wrote = 0n] = [0, 8, 16, 24].map((at) => bytes.readBigUInt64LE(at));
		return { pid, done, errors, wrote };
	}

	private areas(index: number): Area[] {
		const bytes = this.read(HEADER_SIZE + index * BOOK_SIZE + 32, AREAS * AREA_SIZE);
		return Array.from({ length: AREAS }, (_, i) => {
			const at = i * AREA_SIZE;
			const versions = new Uint32Array(bytes.buffer, bytes.byteOffset + at + 16, VERSIONS);
			return { address: bytes.readBigUInt64LE(at), pages: Number(bytes.readBigUInt64LE(at + 8)), versions };
		});
	}

	/** Numbers of the books of processes that live. */
	private get living(): number[] {
		return Array.from({ length: BOOKS }, (_, i) => i).filter((i) => this.book(i).pid > 0n);
	}

	/** Has all processes carry out a command; each writes to `count` pages of its own. */
	async command(what: keyof typeof COMMANDS, count = 0): Promise<void> {
		const step = what === "churn" ? this.steps++ : 0n;
		const head = Buffer.from(new BigUint64Array([COMMANDS[what], BigInt(count), ++this.seq, step]).buffer);
		const fd = openSync(this.bookPath, "r+");
		writeSync(fd, head, 0, head.length, 0);
		closeSync(fd);
		await this.stage.kill(this.pid, SIGUSR1);
		await this.until(`${what} ${this.seq}`, () => this.living.every((i) => this.book(i).done === this.seq));
	}

	/** Throws unless every page of every process is as it has to be. */
	async expectIntact(when: string): Promise<void> {
		await this.command("verify");
		for (const i of this.living)
			if (this.book(i).errors > 0n) throw new Error(`${when}: process ${i} has ${this.book(i).errors} wrong pages`);
	}

	/** Runs our criu inside, with CR_FAULT set when a fault is given. */
	async criu(what: readonly string[], fault?: string): Promise<CriuRun> {
		const log = join(this.dir, `run${this.runs++}`);
		const env = fault === undefined ? [] : ["env", `CR_FAULT=${fault}`];
		const ending = await this.stage.run(log, this.dir, [...env, criu, ...what, "-W", this.dir]);
		return { ending, output: readFileSync(log, "utf8") };
	}

	/** The same; throws unless it succeeds. */
	async mustCriu(...what: readonly string[]): Promise<string> {
		const { ending, output } = await this.criu(what);
		if (ending.how !== "exit" || ending.code !== 0)
			throw new Error(`criu ${what.join(" ")}: ${showEnding(ending)}\n${output}`);
		return output;
	}

	/** Arguments of a dump of a kind into a fresh directory, that builds on another one. */
	arguments(command: string, images: string, parent: string | undefined, ...more: string[]): string[] {
		const link = parent === undefined ? [] : ["--prev-images-dir", `../${basename(parent)}`];
		return [command, "-t", String(this.pid), "-D", images, ...link, ...more];
	}

	/** Dumps it so that it ends, and restores it. */
	async cycle(parent: string | undefined, ...more: string[]): Promise<void> {
		const images = this.makeImages();
		await this.mustCriu(...this.arguments("dump", images, parent, ...more));
		await this.stage.died(this.pid);
		await this.mustCriu("restore", "-d", "-D", images);
	}

	/** A fresh images directory. */
	makeImages(): string {
		return mkdtempSync(join(this.dir, "images-"));
	}

	/** Throws unless the images, with those that they build on, have every page as it is now in every process. */
	checkImages(path: string): void {
		for (const i of this.living) {
			using dir = ImageDir.open(path);
			const { pid } = this.book(i);
			const chain = readChain(dir, KINDS.PAGEMAP, pid);
			if (chain === undefined) throw new Error(`${path}: no pages of pid ${pid}`);
			const files = new Map(listFiles(chain).map((file) => [file.level, openChainFile(dir, file, chain.file)]));
			for (const [area, { address, pages, versions }] of this.areas(i).entries())
				for (let page = 0; page < pages; page++) {
					const at = address + BigInt(page * PAGE);
					const run = findRun(chain.runs, at);
					const first = new BigUint64Array(1);
					if (run !== undefined)
						readSync(
							files.get(run.level) as number,
							new Uint8Array(first.buffer),
							0,
							8,
							Number(run.offset + at - run.address),
						);
					const version = BigInt(versions[page] as number);
					const wanted = version === 0n ? 0n : (BigInt(area) << 56n) | (BigInt(page) << 32n) | version;
					if (first[0] === wanted) continue;
					const where = `page ${page} of area ${area} of pid ${pid} at ${at.toString(16)}`;
					throw new Error(
						`${path}: ${where} is ${first[0]?.toString(16)}, not ${wanted.toString(16)} (level ${run?.level})`,
					);
				}
			for (const fd of files.values()) closeSync(fd);
		}
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.stage.close();
		rmSync(this.dir, { recursive: true, force: true });
	}
}

function findRun(runs: readonly PageRun[], at: bigint): PageRun | undefined {
	let low = 0;
	let high = runs.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		const run = runs[middle] as PageRun;
		if (run.address + run.bytes <= at) low = middle + 1;
		else high = middle;
	}
	const run = runs[low];
	return run !== undefined && run.address <= at ? run : undefined;
}

/** Pages in the images of a directory themselves. */
export function countPages(images: string): number {
	const sizes = readdirSync(images)
		.filter((name) => name.startsWith("pages-"))
		.map((name) => statSync(join(images, name)).size);
	return sizes.reduce((sum, size) => sum + size, 0) / PAGE;
}
