// SPDX-License-Identifier: GPL-2.0-only
// A program whose system calls come back to it (PR_SET_SYSCALL_USER_DISPATCH): whatever is asked of criu, it makes none for us.

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";

const criu = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");

describeAsRoot("a program that any system call would end", () => {
	test("survives pre-dumps and dumps", async () => {
		const dir = mkdtempSync(join(tmpdir(), "criu-dispatch-"));
		const program = join(dir, "program");
		const built = spawnSync("gcc", [
			"-O1",
			"-Wall",
			"-Werror",
			"-o",
			program,
			join(import.meta.dir, "syscall-dispatch.c"),
		]);
		expect(built.stderr.toString()).toBe("");
		const target = Bun.spawn(["setsid", program], { cwd: dir, stdin: "ignore", stdout: "pipe", stderr: "ignore" });
		try {
			const { value } = await target.stdout.getReader().read();
			if (Buffer.from(value ?? []).toString() === "missing\n") {
				console.log("(skipped: this kernel has no PR_SET_SYSCALL_USER_DISPATCH)");
				return;
			}
			for (const command of ["pre-dump", "dump"]) {
				const { status, stderr } = spawnSync(criu, [command, "-t", `${target.pid}`, "-D", dir, "-v2"], {
					encoding: "utf8",
				});
				expect({ command, status, stderr }).toEqual({
					command,
					status: 1,
					stderr: expect.stringContaining("USER_DISPATCH"),
				});
				expect(target.signalCode ?? target.exitCode).toBeNull();
			}
			process.kill(target.pid, 0);
		} finally {
			target.kill("SIGKILL");
			await target.exited;
			rmSync(dir, { recursive: true, force: true });
		}
	}, 60_000);
});
