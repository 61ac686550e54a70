// SPDX-License-Identifier: GPL-2.0-only
// A restore in a pid namespace that has just been made, where the tree's numbers are those that threads of criu have at first.

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";

const criu = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");

describeAsRoot("a tree with low numbers", () => {
	test("comes back where criu's own threads had them", () => {
		const dir = mkdtempSync(join(tmpdir(), "criu-low-pids-"));
		const inNamespace = (script: string) => {
			const words = ["unshare", "-fp", "--kill-child", "--mount-proc", "sh", "-c", script, criu];
			const { exitCode, stdout, stderr } = Bun.spawnSync(words, { cwd: dir, stdin: "ignore", timeout: 60_000 });
			return { exitCode, out: stdout.toString(), err: exitCode === 0 ? "" : stderr.toString() };
		};
		try {
			mkdirSync(join(dir, "images"));
			const quiet = "</dev/null >/dev/null 2>&1 &";
			// Dumped when it runs sleep: before, its own files are those of the shell.
			const dump = `for i in 1 2 3; do setsid sleep 1000 ${quiet} done
				until [ "$(cat /proc/4/comm)" = sleep ] && [ "$(cut -d' ' -f6 /proc/4/stat)" = 4 ]; do :; done
				"$0" dump -t 4 -D images -o dump.log`;
			expect(inNamespace(dump)).toMatchObject({ exitCode: 0, err: "" });
			const restore = '"$0" restore -d -D images -W . -o restore.log --pidfile pid && cat /proc/4/comm && kill -9 4';
			expect(inNamespace(restore)).toEqual({ exitCode: 0, out: "sleep\n", err: "" });
			expect(readFileSync(join(dir, "pid"), "utf8")).toBe("4");
		} finally {
			rmSync(dir, { recursive: true, force: true });
		}
	}, 180_000);
});
