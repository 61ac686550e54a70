// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import {
	describeBlockers,
	describeDumpStats,
	describeError,
	describeRestoreStats,
	describeWhere,
	toCriuError,
} from "../../src/cli/report.ts";
import { BlockedError, KernelError, UnsupportedError } from "../../src/errors.ts";

describe("describeError", () => {
	test("gives error, cause, remedy and code in one line", () => {
		const cause = new KernelError("open", 2, "of /lib/x.so");
		const error = new UnsupportedError("X", "cannot map /lib/x.so for pid 42", { cause, remedy: "copy it back" });
		expect(describeError(error)).toEqual([
			`error: cannot map /lib/x.so for pid 42: ${cause.message}; remedy: copy it back [X]`,
		]);
	});

	test("leaves out what is not known", () => {
		expect(describeError(new UnsupportedError("X", "no"))).toEqual(["error: no [X]"]);
	});

	test("does not repeat a cause that the message tells", () => {
		const error = new UnsupportedError("X", "failed: deep reason", { cause: new UnsupportedError("Y", "deep reason") });
		expect(describeError(error)).toEqual(["error: failed: deep reason [X]"]);
	});

	test("joins a chain of causes, outermost first", () => {
		const inner = new UnsupportedError("A", "inner");
		const outer = new UnsupportedError("B", "outer", { cause: inner });
		expect(describeError(new UnsupportedError("C", "top", { cause: outer }))).toEqual(["error: top: outer: inner [C]"]);
	});

	test("lists every blocker with its remedy", () => {
		const blockers = [
			new UnsupportedError("A", "fd 5 is odd", { remedy: "close it" }),
			new UnsupportedError("B", "two"),
		];
		expect(describeError(new BlockedError("cannot dump pid 9", blockers))).toEqual([
			"error: cannot dump pid 9, for 2 reasons; the first: fd 5 is odd; remedy: close it [A]",
			"blocker 1 of 2 (A): fd 5 is odd",
			"  remedy: close it",
			"blocker 2 of 2 (B): two",
		]);
		expect(describeError(new BlockedError("cannot dump pid 9", blockers.slice(0, 1)))).toEqual([
			"error: cannot dump pid 9: fd 5 is odd; remedy: close it [A]",
		]);
		expect(describeError(new BlockedError("cannot dump pid 9", blockers), 1).slice(1)).toEqual([
			"blocker 1 of 2 (A): fd 5 is odd",
			"  remedy: close it",
			"and 1 more: criu check --pid PID lists them all",
		]);
		expect(describeBlockers([])).toEqual([]);
	});

	test("tells failures of cleaning up after the error", () => {
		const error = new UnsupportedError("X", "first");
		error.undo.push(new UnsupportedError("Y", "second"));
		expect(describeError(error)).toEqual(["error: first [X]", "also: cleaning up failed: second"]);
	});

	test("keeps names from a target from forging lines or moving the cursor", () => {
		expect(describeError(new UnsupportedError("X", "file a\nremedy: rm\x1b[2J"))).toEqual([
			"error: file a\\x0aremedy: rm\\x1b[2J [X]",
		]);
	});
});

describe("toCriuError", () => {
	test("takes what is not ours for a bug", () => {
		const error = toCriuError(new TypeError("x is undefined"));
		expect(error.code).toBe("BUG");
		expect(describeError(error)[0]).toStartWith("error: unexpected failure: x is undefined; remedy: ");
		expect(describeError(toCriuError(new Error("a\nb")))).toHaveLength(1);
		expect(toCriuError("text").message).toBe("unexpected failure: text");
	});

	test("keeps ours", () => {
		const error = new UnsupportedError("X", "x");
		expect(toCriuError(error)).toBe(error);
	});
});

describe("describeWhere", () => {
	test("names stage and pid", () => {
		const error = new UnsupportedError("CODE", "x", { where: { op: "dump", stage: "seize", pid: 7 } });
		expect(describeWhere(error)).toBe("dump, stage seize, pid 7");
		expect(describeWhere(new UnsupportedError("CODE", "x"))).toBe("");
	});
});

describe("statistics", () => {
	test("of a dump have CRIU's labels", () => {
		const lines = describeDumpStats({
			freezingTime: 1,
			frozenTime: 2,
			memdumpTime: 3,
			memwriteTime: 4,
			pagesScanned: 255n,
			pagesSkippedParent: 0n,
			pagesWritten: 16n,
			pagesLazy: 0n,
			sharedPagesScanned: 0n,
			sharedPagesWritten: 0n,
		});
		expect(lines).toEqual([
			"Displaying dump stats:",
			"Freezing time: 1 us",
			"Frozen time: 2 us",
			"Memory dump time: 3 us",
			"Memory write time: 4 us",
			"IRMAP resolve time: 0 us",
			"Memory pages scanned: 255 (0xff)",
			"Memory pages skipped from parent: 0 (0x0)",
			"Memory pages written: 16 (0x10)",
			"Lazy memory pages: 0 (0x0)",
		]);
	});

	test("of a restore have CRIU's labels", () => {
		const stats = { pagesCompared: 0n, pagesSkippedCow: 1n, pagesRestored: 10n, forkingTime: 5, restoreTime: 6 };
		expect(describeRestoreStats(stats)).toEqual([
			"Displaying restore stats:",
			"Pages compared: 0 (0x0)",
			"Pages skipped COW: 1 (0x1)",
			"Pages restored: 10 (0xa)",
			"Restore time: 6 us",
			"Forking time: 5 us",
		]);
	});
});
