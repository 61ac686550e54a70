// SPDX-License-Identifier: GPL-2.0-only
// A file system that doesn't answer: criu can't leave a call that waits for it, and what it has stopped has to go on.

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";

const criu = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");

/** A descriptor to which nothing can be written any more without waiting. */
function openFullPipe(path: string): number {
	expect(spawnSync("mkfifo", [path]).status).toBe(0);
	const filler = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
	const fd = openSync(path, constants.O_RDWR);
	try {
		for (;;) writeSync(filler, "x".repeat(4096));
	} catch (error) {
		expect((error as NodeJS.ErrnoException).code).toBe("EAGAIN");
	}
	closeSync(filler);
	return fd;
}

describeAsRoot("a program with a file of which nothing can be learned", () => {
	test.each([
		["and is told why", false],
		["also when nobody reads that", true],
	])(
		"goes on when criu has waited for too long, %s",
		async (_, isDeaf) => {
			const dir = mkdtempSync(join(tmpdir(), "criu-stuck-"));
			const program = join(dir, "program");
			const built = spawnSync("gcc", ["-O1", "-Wall", "-Werror", "-o", program, join(import.meta.dir, "stuck.c")]);
			expect(built.stderr.toString()).toBe("");
			const server = Bun.spawn(["unshare", "-m", program], {
				cwd: dir,
				stdin: "pipe",
				stdout: "pipe",
				stderr: "ignore",
			});
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
				const errors = isDeaf ? openFullPipe(join(dir, "errors")) : "pipe";
				const { signal, stderr } = spawnSync("nsenter", [...inside, ...words], {
					encoding: "utf8",
					stdio: ["ignore", "ignore", errors],
				});
				if (typeof errors === "number") closeSync(errors);
				expect(signal).toBe("SIGKILL");
				if (!isDeaf) expect(stderr).toContain("[STUCK]");
				expect(readFileSync(join(dir, "log"), "utf8")).toContain("[STUCK]");
				expect(readFileSync(`/proc/${pid}/status`, "latin1")).toContain("TracerPid:\t0\n");
				server.stdin.end();
				expect(await server.exited).toBe(0);
			} finally {
				server.kill("SIGKILL");
				await server.exited;
				rmSync(dir, { recursive: true, force: true });
			}
		},
		60_000,
	);
});
