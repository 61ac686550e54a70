// SPDX-License-Identifier: GPL-2.0-only
// A program that has used up its number of mappings: nothing of ours can be mapped into it.

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSysctl } from "../../src/kernel/procfs/sysctl.ts";
import { describeAsRoot } from "../as-root.ts";

const criu = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");
/** Twice the usual limit; more would take long. */
const MOST = 131_072;

describeAsRoot("a program with as many mappings as it may have", () => {
	test("is refused before it's touched, with the setting that helps", async () => {
		if (readSysctl("vm/max_map_count") > MOST) {
			console.log(`(skipped: vm.max_map_count is above ${MOST})`);
			return;
		}
		const dir = mkdtempSync(join(tmpdir(), "criu-map-count-"));
		const program = join(dir, "program");
		const source = join(import.meta.dir, "map-count.c");
		const built = spawnSync("gcc", ["-O1", "-Wall", "-Werror", "-o", program, source]);
		expect(built.stderr.toString()).toBe("");
		const target = Bun.spawn(["setsid", program], { cwd: dir, stdin: "pipe", stdout: "pipe", stderr: "ignore" });
		try {
			const { value } = await target.stdout.getReader().read();
			expect(Buffer.from(value ?? []).toString()).toBe("ready\n");
			const maps = () => readFileSync(`/proc/${target.pid}/maps`, "latin1");
			const before = maps();
			for (const command of [["dump"], ["pre-dump"], ["check", "--pid", `${target.pid}`]]) {
				const words = command[0] === "check" ? command : [...command, "-t", `${target.pid}`];
				const { status, stdout, stderr } = spawnSync(criu, [...words, "-D", dir], { encoding: "utf8" });
				const said = stdout + stderr;
				expect({ command, status, said }).toEqual({ command, status: 1, said: expect.stringContaining("MAP_COUNT") });
				expect(said).toMatch(/sysctl vm\.max_map_count=\d+ or more/);
			}
			expect(maps()).toBe(before);
			target.stdin.end();
			expect(await target.exited).toBe(0);
		} finally {
			target.kill("SIGKILL");
			await target.exited;
			rmSync(dir, { recursive: true, force: true });
		}
	}, 120_000);
});
