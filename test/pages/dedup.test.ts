// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pagemap_entrySchema, pagemap_headSchema } from "../../src/images/gen/mm_pb.ts";
import { create, ImageDir, KINDS } from "../../src/images/index.ts";
import { dedup, freeAfterwards } from "../../src/pages/dedup.ts";
import { PE_PARENT, PE_PRESENT } from "../../src/pages/pagemap.ts";

const PAGE = 4096;

/** Images of the pages of process 7 at addresses 1, 2, … (in pages): a letter for one that is there, `^` for one that older images have. */
function writeLevel(path: string, pages: string, parent: string | undefined): void {
	mkdirSync(path);
	if (parent !== undefined) symlinkSync(parent, join(path, "parent"));
	using dir = ImageDir.open(path);
	using writer = dir.writer(KINDS.PAGEMAP, 7);
	writer.writeHead(create(pagemap_headSchema, { pagesId: 1 }));
	for (const [i, letter] of [...pages].entries()) {
		const flags = letter === "^" ? PE_PARENT : PE_PRESENT;
		const entry = { vaddr: BigInt((i + 1) * PAGE), compatNrPages: 1, flags };
		writer.write(create(pagemap_entrySchema, entry));
	}
	writer.close();
	const own = [...pages].filter((letter) => letter !== "^");
	writeFileSync(join(path, "pages-1.img"), own.map((letter) => letter.repeat(PAGE)).join(""));
}

/** What is left of pages: a dot for one that was freed. */
function readLevel(path: string): string {
	const bytes = readFileSync(join(path, "pages-1.img"), "latin1");
	return Array.from({ length: bytes.length / PAGE }, (_, i) => bytes[i * PAGE])
		.join("")
		.replaceAll("\0", ".");
}

test("what newer images have is freed in all older ones, also where several have it", () => {
	const root = mkdtempSync(join(tmpdir(), "criu-dedup-"));
	try {
		const [first, second, third] = ["1", "2", "3"].map((name) => join(root, name)) as [string, string, string];
		writeLevel(first, "abcd", undefined);
		writeLevel(second, "AB^^", "../1");
		writeLevel(third, "x^y^", "../2");
		using dir = ImageDir.open(third);
		expect(dedup(dir)).toBe(3n);
		expect([first, second, third].map(readLevel)).toEqual([".b.d", ".B", "xy"]);
		expect(statSync(join(first, "pages-1.img")).size).toBe(4 * PAGE);
		expect(dedup(dir)).toBe(0n);
	} finally {
		rmSync(root, { recursive: true });
	}
});

test("only pages that were there count as freed", () => {
	const root = mkdtempSync(join(tmpdir(), "criu-dedup-"));
	try {
		const [first, second, third] = ["1", "2", "3"].map((name) => join(root, name)) as [string, string, string];
		writeLevel(first, "abcd", undefined);
		writeLevel(second, "AB^^", "../1");
		writeLevel(third, "xyz^", "../2");
		using older = ImageDir.open(second);
		expect(dedup(older)).toBe(2n);
		using newest = ImageDir.open(third);
		expect(dedup(newest)).toBe(3n);
		expect([first, second, third].map(readLevel)).toEqual(["...d", "..", "xyz"]);
	} finally {
		rmSync(root, { recursive: true });
	}
});

test("pages that can't be freed afterwards are no failure", () => {
	const asked: string[] = [];
	freeAfterwards("the images", () => {
		asked.push("first");
		throw new Error("operation not supported");
	});
	freeAfterwards("the images", () => {
		asked.push("second");
		return 2n;
	});
	expect(asked).toEqual(["first", "second"]);
});
