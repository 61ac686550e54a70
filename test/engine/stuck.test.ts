// SPDX-License-Identifier: GPL-2.0-only
// A file system that doesn't answer: criu can't leave a call that waits for it, and what it has stopped has to go on.

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";

const criu = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");

describeAsRoot("a program with a file of which nothing can be learned", () => {
	test("goes on when criu has waited for too long, and is told why", async () => {
		const dir = mkdtempSync(join(tmpdir(), "criu-stuck-"));
		const program = join(dir, "program");
		const built = spawnSync("gcc", ["-O1", "-Wall", "-Werror", "-o", program, join(import.meta.dir, "stuck.c")]);
		expect(built.stderr.toString()).toBe("");
		const server = Bun.spawn(["unshare", "-m", program], { cwd: dir, stdin: "pipe", stdout: "pipe", stderr: "ignore" });
		try {
			const { value } = await server.stdout.getReader().read();
			const text = Buffer.from(value ?? []).toString();
			if (text.startsWith("SKIP")) {
				console.log(`(skipped: ${text.trim()})`);
				return;
			}
			const pid = Number(text);
			const inside = ["-t", `${server.pid}`, "-m", "--", criu];
			const words = ["dump", "-t", `${pid}`, "-D", dir, "-o", "log", "--timeout", "1"];
			const { signal, stderr } = spawnSync("nsenter", [...inside, ...words], { encoding: "utf8" });
			expect({ signal, stderr }).toEqual({ signal: "SIGKILL", stderr: expect.stringContaining("[STUCK]") });
			expect(readFileSync(join(dir, "log"), "utf8")).toContain("[STUCK]");
			expect(readFileSync(`/proc/${pid}/status`, "latin1")).toContain("TracerPid:\t0\n");
			server.stdin.end();
			expect(await server.exited).toBe(0);
		} finally {
			server.kill("SIGKILL");
			await server.exited;
			rmSync(dir, { recursive: true, force: true });
		}
	}, 60_000);
});
