// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import { type PendingRange, PendingRanges } from "../../../src/pages/lazy/pending.ts";

const PAGE = 4096n;
const range = (from: bigint, to: bigint) => ({ start: from * PAGE, end: to * PAGE });
const show = (list: readonly PendingRange[]) =>
	list.map(({ start, end, source }) => `${start / PAGE}-${end / PAGE}<${source / PAGE}`).join(" ");

describe("PendingRanges", () => {
	test("finds what an address lies in, and what comes next", () => {
		const pending = new PendingRanges([range(1n, 3n), range(5n, 9n)]);
		expect(pending.find(0n)).toBeUndefined();
		expect(pending.find(PAGE)?.end).toBe(3n * PAGE);
		expect(pending.find(3n * PAGE)).toBeUndefined();
		expect(pending.next(3n * PAGE)?.start).toBe(5n * PAGE);
		expect(pending.next(7n * PAGE)?.start).toBe(7n * PAGE);
		expect(pending.next(9n * PAGE)?.start).toBe(PAGE);
		expect(pending.bytes).toBe(6n * PAGE);
	});

	test("takes parts out of ranges and keeps the rest", () => {
		const pending = new PendingRanges([range(0n, 4n), range(6n, 8n)]);
		expect(show(pending.take(1n * PAGE, 7n * PAGE))).toBe("1-4<1 6-7<6");
		expect(show(pending.list)).toBe("0-1<0 7-8<7");
		expect(pending.take(1n * PAGE, 7n * PAGE)).toEqual([]);
		pending.take(0n, 8n * PAGE);
		expect(pending.isEmpty).toBe(true);
	});

	test("moves with memory, and knows where the images have it", () => {
		const pending = new PendingRanges([range(0n, 4n), range(6n, 8n)]);
		pending.move(2n * PAGE, 20n * PAGE, 5n * PAGE);
		expect(show(pending.list)).toBe("0-2<0 7-8<7 20-22<2 24-25<6");
		expect(show([pending.findSource(3n * PAGE, 4n * PAGE) as PendingRange])).toBe("21-22<3");
		expect(pending.findSource(4n * PAGE, 6n * PAGE)).toBeUndefined();
		// What was missing at the new place is gone.
		pending.move(20n * PAGE, 0n, 2n * PAGE);
		expect(show(pending.list)).toBe("0-2<2 7-8<7 24-25<6");
	});

	test("is a fork's own after a copy", () => {
		const pending = new PendingRanges([range(0n, 2n)]);
		const copied = pending.copy();
		pending.take(0n, PAGE);
		copied.take(PAGE, 2n * PAGE);
		expect([show(pending.list), show(copied.list)]).toEqual(["1-2<1", "0-1<0"]);
	});

	test("agrees with a map of single pages after any history", () => {
		let seed = 12345;
		const random = (below: number) => {
			seed = (seed * 1103515245 + 12345) & 0x7fffffff;
			return (seed >> 8) % below;
		};
		for (let round = 0; round < 40; round++) {
			const pending = new PendingRanges([range(0n, 10n), range(12n, 30n)]);
			const pages = new Map<number, number>();
			for (let page = 0; page < 30; page++) if (page < 10 || page >= 12) pages.set(page, page);
			for (let step = 0; step < 30; step++) {
				const [from, length, to] = [random(60), 1 + random(8), random(60)];
				const big = (page: number) => BigInt(page) * PAGE;
				if (random(2) === 0) {
					pending.take(big(from), big(from + length));
					for (let page = from; page < from + length; page++) pages.delete(page);
				} else if (Math.abs(from - to) >= length) {
					pending.move(big(from), big(to), big(length));
					for (let page = 0; page < length; page++) {
						const source = pages.get(from + page);
						pages.delete(from + page);
						pages.delete(to + page);
						if (source !== undefined) pages.set(to + page, source);
					}
				}
				const listed = pending.list.flatMap(({ start, end, source }) =>
					Array.from({ length: Number((end - start) / PAGE) }, (_one, i) => [
						Number(start / PAGE) + i,
						Number(source / PAGE) + i,
					]),
				);
				expect(listed).toEqual([...pages].sort(([a], [b]) => a - b));
				const wanted = random(30);
				const found = pending.findSource(big(wanted), big(wanted + 1));
				expect(found !== undefined).toBe([...pages.values()].includes(wanted));
			}
		}
	});
});
