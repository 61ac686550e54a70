// SPDX-License-Identifier: GPL-2.0-only
// Compressed pages files: what zstd makes of them, that damage is found before anything runs, and what goes on with them.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { pagemap_entrySchema, pagemap_headSchema } from "../../src/images/gen/mm_pb.ts";
import { create, ImageDir, KINDS } from "../../src/images/index.ts";
import { CompressedPages, FRAME, FrameWriter, PAGES_ZSTD, readTable } from "../../src/pages/compressed.ts";
import { PE_PRESENT } from "../../src/pages/pagemap.ts";
import { divideIntoFrames } from "../../src/pages/zstd-sink.ts";
import { describeAsRoot } from "../as-root.ts";
import { Churn } from "./churn.ts";

const TIMEOUT = 300_000;
const dir = mkdtempSync(join(tmpdir(), "compressed-"));
const file = join(dir, "pages-1.zst");

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Half of it can be compressed. */
function makePages(length: number): Uint8Array {
	const bytes = new Uint8Array(length);
	for (let i = 0; i < length; i += 2) bytes[i] = (i * 2654435761) >> 13;
	return bytes;
}

/** Writes them by pieces of that size. */
function write(plain: Uint8Array, piece: number): Uint8Array {
	using images = ImageDir.open(dir);
	using writer = images.writer(PAGES_ZSTD, 1);
	const frames = new FrameWriter(writer);
	for (let at = 0; at < plain.length; at += piece) frames.put(plain.subarray(at, at + piece));
	frames.finish();
	writer.close();
	return readFileSync(file);
}

function read(): Uint8Array {
	using images = ImageDir.open(dir);
	using pages = CompressedPages.open(images, 1);
	return pages?.read(0, pages.size) ?? new Uint8Array(0);
}

describe("a compressed pages file", () => {
	test.each([
		[0, 4096],
		[4096, 4096],
		[FRAME, FRAME],
		[FRAME + 4096, 12288],
		[3 * FRAME - 4096, 3 * FRAME],
	])("of %d bytes, by pieces of %d, is the plain one to zstd and to us", (length, piece) => {
		const plain = makePages(length);
		const packed = write(plain, piece);
		expect(Buffer.compare(zstdDecompressSync(packed), plain)).toBe(0);
		expect(Buffer.compare(read(), plain)).toBe(0);
	});

	test("can be read anywhere", () => {
		const plain = makePages(2 * FRAME + 8192);
		write(plain, 4096);
		using images = ImageDir.open(dir);
		using pages = CompressedPages.open(images, 1);
		for (const at of [0, 100, FRAME - 10, FRAME, 2 * FRAME + 8000])
			expect(pages?.read(at, 300)).toEqual(Buffer.from(plain.subarray(at, at + 300)));
	});

	test("is refused when it's damaged anywhere", () => {
		const packed = write(makePages(FRAME + 4096), 4096);
		const step = Math.ceil(packed.length / 200);
		const near = [...Array(45).keys()].map((i) => packed.length - 1 - i);
		for (const at of [...Array(200).keys()].map((i) => i * step).concat(near)) {
			if (at >= packed.length) continue;
			const bad = Uint8Array.from(packed);
			(bad[at] as number) ^= 0x41;
			writeFileSync(file, bad);
			// What isn't noticed doesn't matter: a bit of zstd's own heads that is for nobody.
			let plain: Uint8Array | undefined;
			try {
				plain = read();
			} catch (error) {
				expect(error).toMatchObject({ code: "IMAGE_CORRUPT" });
			}
			if (plain !== undefined) expect(Buffer.compare(plain, makePages(FRAME + 4096))).toBe(0);
		}
	});

	test("is refused when it's cut anywhere, or its table tells of too much", () => {
		const packed = write(makePages(4096), 4096);
		for (let length = 0; length < packed.length; length++)
			expect(() => readTable("x", length, (at, n) => packed.subarray(at, Math.min(length, at + n)))).toThrow(/damaged/);
		const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
		for (const [at, value] of [
			[packed.length - 9, 0xffff_ffff],
			[packed.length - 9, 2],
			[packed.length - 17, FRAME + 1],
			[packed.length - 21, 0],
		] as const) {
			const before = view.getUint32(at, true);
			view.setUint32(at, value, true);
			expect(() => readTable("x", packed.length, (from, n) => packed.subarray(from, from + n))).toThrow(/damaged/);
			view.setUint32(at, before, true);
		}
	});

	test("that promises less than it holds isn't unpacked further", () => {
		const bomb = Bun.zstdCompressSync(new Uint8Array(64 << 20));
		const table = new Uint8Array(8 + 12 + 9);
		const view = new DataView(table.buffer);
		for (const [at, value] of [
			[0, 0x184d2a5e],
			[4, 21],
			[8, bomb.length],
			[12, 4096],
			[20, 1],
			[25, 0x8f92eab1],
		] as const)
			view.setUint32(at, value, true);
		view.setUint8(24, 0x80);
		writeFileSync(file, Buffer.concat([bomb, table]));
		expect(() => read()).toThrow(/damaged/);
	});
});

test("pieces are divided into frames, marks and order kept", () => {
	const pieces = BigUint64Array.of(0x1001n, BigInt(FRAME) - 4096n, 0x900000n, BigInt(2 * FRAME), 0xf00000n, 4096n);
	expect([...divideIntoFrames(pieces)].map((frame) => [...frame])).toEqual([
		[0x1001n, BigInt(FRAME) - 4096n, 0x900000n, 4096n],
		[0x901000n, BigInt(FRAME)],
		[0x901000n + BigInt(FRAME), BigInt(FRAME) - 4096n, 0xf00000n, 4096n],
	]);
	expect([...divideIntoFrames(new BigUint64Array(0))]).toEqual([]);
});

test("pages that are missing in compressed images are refused like others", async () => {
	const { openChainFile } = await import("../../src/pages/chain.ts");
	using images = ImageDir.open(dir);
	using pagemap = images.writer(KINDS.PAGEMAP, 7);
	pagemap.writeHead(create(pagemap_headSchema, { pagesId: 9 }));
	pagemap.write(create(pagemap_entrySchema, { vaddr: 0x1000n, compatNrPages: 1, flags: PE_PRESENT }));
	pagemap.close();
	expect(() => openChainFile(images, { level: 0, name: "pages-9.img", bytes: 4096n }, "pagemap-7.img")).toThrow(
		/pages-9.img is missing/,
	);
});

describeAsRoot("dump --zstd", () => {
	test(
		"has all pages, comes back whole, and is refused when it's damaged",
		async () => {
			await using churn = await Churn.start(1024);
			await churn.command("churn", 100);
			const images = churn.makeImages();
			// Of an older dump, to be replaced.
			writeFileSync(join(images, "pages-1.img"), "old");
			await churn.mustCriu(...churn.arguments("dump", images, undefined, "-R", "--zstd"));
			const pages = readdirSync(images).filter((name) => name.startsWith("pages-"));
			expect(pages).toContain("pages-1.zst");
			expect(pages.filter((name) => !name.endsWith(".zst"))).toEqual([]);
			churn.checkImages(images);
			await churn.command("churn", 100);
			await churn.cycle(undefined, "--zstd");
			await churn.expectIntact("after a cycle");

			const last = churn.makeImages();
			await churn.mustCriu(...churn.arguments("dump", last, undefined, "--zstd"));
			await churn.stage.died(churn.pid);
			const whole = readFileSync(join(last, "pages-1.zst"));
			const bad = Uint8Array.from(whole);
			(bad[whole.length >> 1] as number) ^= 1;
			writeFileSync(join(last, "pages-1.zst"), bad);
			const { ending, output } = await churn.criu(["restore", "-d", "-D", last]);
			expect(ending).toEqual({ how: "exit", code: 1 });
			expect(output).toContain("[IMAGE_CORRUPT]");
			writeFileSync(join(last, "pages-1.zst"), whole);
			await churn.mustCriu("restore", "--dry-run", "-D", last);
			expect(await churn.mustCriu("restore", "-d", "--map-pages", "--auto-dedup", "-D", last).catch(String)).toContain(
				"[MAP_PAGES]",
			);
			await churn.mustCriu("restore", "-d", "--map-pages", "-o", join(last, "log"), "-D", last);
			expect(readFileSync(join(last, "log"), "utf8")).toContain("is compressed");
			await churn.expectIntact("after a restore that couldn't map it");
			expect(existsSync(join(last, "pages-1.img"))).toBe(false);
		},
		TIMEOUT,
	);

	test(
		"isn't for what needs pages as they are",
		async () => {
			await using churn = await Churn.start(16);
			for (const others of ["--snapshot -R", "--track-mem -R", "--page-server", "--lazy-pages", "--stream"]) {
				const images = churn.makeImages();
				const args = churn.arguments("dump", images, undefined, "--zstd", ...others.split(" "));
				const { ending, output } = await churn.criu(args);
				expect(ending).toEqual({ how: "exit", code: 1 });
				expect(output).toContain("[ZSTD_CONFLICT]");
			}
		},
		TIMEOUT,
	);
});
