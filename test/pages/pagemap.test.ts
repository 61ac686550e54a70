// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { pagemap_entrySchema, pagemap_headSchema } from "../../src/images/gen/mm_pb.ts";
import { create } from "../../src/images/index.ts";
import { collectRuns, PE_LAZY, PE_PARENT, PE_PRESENT, planPagemap, totalBytes } from "../../src/pages/pagemap.ts";
import { appendRange, type Ranges } from "../../src/pages/ranges.ts";

const P = 4096n;
const range = (from: bigint, to: bigint) => ({ start: from * P, end: to * P });
const stretch = (from: bigint, to: bigint, lazy = true, whole = false) => ({ ...range(from, to), lazy, whole });

describe("planPagemap", () => {
	test("cuts data to the private stretches and merges neighbours of equal flags", () => {
		const plan = planPagemap([range(1n, 10n)], [stretch(0n, 3n), stretch(3n, 5n), stretch(7n, 20n, false)]);
		expect(plan.entries.map((e) => [e.vaddr / P, e.nrPages, e.flags])).toEqual([
			[1n, 4n, PE_LAZY | PE_PRESENT],
			[7n, 3n, PE_PRESENT],
		]);
		expect([...plan.pieces]).toEqual([1n * P, 4n * P, 7n * P, 3n * P]);
		expect(plan.bytes).toBe(7n * P);
	});

	test("takes all pages of a whole stretch, present or not", () => {
		const plan = planPagemap([], [stretch(2n, 4n, false, true)]);
		expect(plan.entries.map((e) => [e.vaddr / P, e.nrPages])).toEqual([[2n, 2n]]);
	});

	test("one data range may serve several stretches, one stretch several ranges", () => {
		const plan = planPagemap([range(0n, 2n), range(4n, 6n)], [stretch(1n, 5n)]);
		expect(plan.entries.map((e) => [e.vaddr / P, e.nrPages])).toEqual([
			[1n, 1n],
			[4n, 1n],
		]);
	});
});

function pagemap(
	...entries: Array<{ at: bigint; pages: bigint; flags?: number; compat?: boolean; inParent?: boolean }>
) {
	return {
		head: create(pagemap_headSchema, { pagesId: 1 }),
		entries: entries.map(({ at, pages, flags, compat, inParent }) =>
			create(pagemap_entrySchema, {
				vaddr: at * P,
				compatNrPages: compat === true ? Number(pages) : 0,
				...(compat === true ? {} : { nrPages: pages }),
				...(flags === undefined ? {} : { flags }),
				...(inParent === undefined ? {} : { inParent }),
			}),
		),
	};
}

describe("collectRuns", () => {
	test("offsets follow from the order of entries", () => {
		const runs = collectRuns("p", pagemap({ at: 1n, pages: 2n, flags: 6 }, { at: 9n, pages: 1n, flags: 4 }));
		expect(runs).toEqual([
			{ address: P, bytes: 2n * P, offset: 0n, level: 0 },
			{ address: 9n * P, bytes: P, offset: 2n * P, level: 0 },
		]);
		expect(totalBytes(runs)).toBe(3n * P);
	});

	test("reads the old form without flags and with compat_nr_pages", () => {
		expect(collectRuns("p", pagemap({ at: 1n, pages: 2n, compat: true }))).toEqual([
			{ address: P, bytes: 2n * P, offset: 0n, level: 0 },
		]);
	});

	test.each([
		["overlap", pagemap({ at: 1n, pages: 4n }, { at: 2n, pages: 1n })],
		["going backwards", pagemap({ at: 5n, pages: 1n }, { at: 1n, pages: 1n })],
		["beyond user space", pagemap({ at: 1n, pages: 1n << 40n })],
		["no pages", pagemap({ at: 1n, pages: 0n })],
		["near 2^64", pagemap({ at: (1n << 52n) - 2n, pages: 4n })],
	])("refuses entries with %s", (_, image) => {
		expect(() => collectRuns("p.img", image)).toThrow(expect.objectContaining({ code: "IMAGE_CORRUPT" }));
	});

	test.each([
		["a parent", pagemap({ at: 1n, pages: 1n, flags: PE_PARENT })],
		["a parent in the old form", pagemap({ at: 1n, pages: 1n, inParent: true })],
		["a parent and this one", pagemap({ at: 1n, pages: 1n, flags: PE_PARENT | PE_PRESENT })],
		["a page server", pagemap({ at: 1n, pages: 1n, flags: PE_LAZY })],
	])("refuses pages that only %s has", (_, image) => {
		expect(() => collectRuns("p.img", image)).toThrow(expect.objectContaining({ code: "IMAGE_INCOMPLETE" }));
	});
});

test("appendRange joins ranges that touch", () => {
	const ranges: Ranges = [];
	appendRange(ranges, 0n, 1n);
	appendRange(ranges, 1n, 3n);
	appendRange(ranges, 4n, 5n);
	expect(ranges).toEqual([
		{ start: 0n, end: 3n },
		{ start: 4n, end: 5n },
	]);
});
