// SPDX-License-Identifier: GPL-2.0-only
// Compiles the assertions of src/kernel/abi/c-check.ts against this machine's headers.

import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { cStaticAsserts } from "../../src/kernel/abi/c-check.ts";

/** gcc's exit code and complaints for a C text. */
function compile(text: string): { status: number | null; stderr: string } {
	const { status, stderr } = spawnSync("gcc", ["-Werror", "-Wall", "-fsyntax-only", "-x", "c", "-"], {
		input: text,
		encoding: "utf8",
	});
	return { status, stderr };
}

const hasGcc = Bun.which("gcc") !== null;
if (!hasGcc) console.log("skipped: abi-check needs gcc");

describe.skipIf(!hasGcc)("cStaticAsserts", () => {
	test.each(["kernel", "libc"] as const)("agrees with the %s headers", (headers) => {
		expect(compile(cStaticAsserts(headers))).toEqual({ status: 0, stderr: "" });
	});

	test("a wrong size, offset or constant stops the compiler", () => {
		const good = cStaticAsserts("kernel");
		for (const [from, to] of [
			["sizeof(struct flock) == 32", "sizeof(struct flock) == 40"],
			["offsetof(struct iovec, iov_len) == 8", "offsetof(struct iovec, iov_len) == 4"],
			["(PTRACE_SEIZE) == 16902U", "(PTRACE_SEIZE) == 16903U"],
			["(__NR_execveat) == 322U", "(__NR_execveat) == 323U"],
		] as const) {
			expect(good).toContain(from);
			expect(compile(good.replace(from, to)).status).not.toBe(0);
		}
	});
});
