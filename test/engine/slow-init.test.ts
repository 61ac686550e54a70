// SPDX-License-Identifier: GPL-2.0-only
// A restore right after a dump, while the processes that the dump has ended wait for an init that reaps only now and then.

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";

const criu = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");
const python = Bun.which("python3", { PATH: "/usr/bin:/bin:/usr/local/bin" });
const noPython = python === null ? " (skipped: needs python3)" : "";

describeAsRoot("a tree whose numbers zombies of init still have", () => {
	test.skipIf(python === null)(
		`comes back as soon as init has reaped them${noPython}`,
		() => {
			const dir = mkdtempSync(join(tmpdir(), "criu-slow-init-"));
			try {
				mkdirSync(join(dir, "images"));
				const words = [
					"unshare",
					"-fp",
					"--kill-child",
					"--mount-proc",
					`${python}`,
					join(import.meta.dir, "slow-init.py"),
					criu,
				];
				const { exitCode, stdout, stderr } = Bun.spawnSync(words, { cwd: dir, stdin: "ignore", timeout: 60_000 });
				expect([exitCode, stdout.toString(), stderr.toString()]).toEqual([0, "zombies 3\nrestored 4\n", ""]);
			} finally {
				rmSync(dir, { recursive: true, force: true });
			}
		},
		90_000,
	);
});
