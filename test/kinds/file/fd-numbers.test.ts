// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { FdNumberTable } from "../../../src/kinds/file/fd-numbers.ts";
import { openAt, statFd } from "../../../src/sys/file.ts";
import { codeOf } from "./fixtures.ts";

function withTable<T>(used: Iterable<number>, limit: number, use: (table: FdNumberTable) => T): T {
	const table = new FdNumberTable(used, limit);
	try {
		return use(table);
	} finally {
		table.closePasses();
	}
}

const range = (length: number) => Array.from({ length }, (_, i) => i);

describe("numbers for descriptors of criu's own", () => {
	test("are the highest ones of the kernel's first table that are free here, when the task's own fit into it", () => {
		const open = new Set(readdirSync("/proc/self/fd").map(Number));
		const free = range(64).filter((fd) => fd > 10 && !open.has(fd));
		withTable([0, 1, 2], 4096, (table) => {
			const count = Math.min(5, free.length);
			const numbers = range(count).map((i) => table.reserve(`purpose ${i}`));
			expect(new Set(numbers).size).toBe(count);
			// The listing itself had a descriptor open, which is free again.
			const expected = free.slice(-count);
			for (const number of numbers) expect(number).toBeGreaterThanOrEqual(expected[0] ?? 0);
			for (const number of numbers) expect(number).toBeLessThan(64);
		});
	});

	test("are the same for the same purpose", () => {
		withTable([], 4096, (table) => expect(table.reserve("a")).toBe(table.reserve("a")));
	});

	test.each([
		["dense", range(60)],
		["sparse", [0, 1, 2, 63, 62, 61, 1000, 4095]],
		["many", range(3000)],
	])("avoid %s numbers of the task and leave room below", (_, used) => {
		const taken = new Set(used);
		withTable(used, 8192, (table) => {
			for (let i = 0; i < 100; i++) {
				const number = table.reserve(`purpose ${i}`);
				expect(taken.has(number)).toBe(false);
				const spare = range(number).filter((below) => !taken.has(below)).length;
				expect(spare).toBeGreaterThanOrEqual(8);
			}
		});
	});

	test("pass a descriptor under its number, which is open here until the process has it", () => {
		const ino = withTable([0, 1, 2], 4096, (table) => {
			const ownFd = openAt("/dev/null", 0);
			const expected = statFd(ownFd).ino;
			const number = table.pass(ownFd, "null");
			expect(table.passes).toEqual([{ from: number, to: number }]);
			expect(statFd(number).ino).toBe(expected);
			expect(codeOf(() => statFd(ownFd))).toBe("EBADF");
			return number;
		});
		expect(codeOf(() => statFd(ino))).toBe("EBADF");
	});

	test("end with a clear error when the limit leaves none", () => {
		const limit = 128;
		withTable(range(limit), limit, (table) => expect(codeOf(() => table.reserve("one"))).toBe("FD_LIMIT"));
	});
});
