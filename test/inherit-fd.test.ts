// SPDX-License-Identifier: GPL-2.0-only
// What lies outside of the dumped tree is named when it stands in the way, and given to the restored program by its caller.

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const python = Bun.which("python3", { PATH: "/usr/bin:/bin:/usr/local/bin" });
const reason = process.getuid?.() !== 0 ? "needs root" : python === null ? "needs python3" : undefined;

test.skipIf(reason !== undefined)(
	`pipes, terminals and files from outside come by --inherit-fd${reason === undefined ? "" : ` (skipped: ${reason})`}`,
	async () => {
		const dir = mkdtempSync(join(tmpdir(), "criu-inherit-"));
		try {
			const driver = [`${ROOT}/test/inherit-fd.py`, `${ROOT}/dist/criu`, dir];
			const run = Bun.spawn(["unshare", "-fpm", "--mount-proc", `${python}`, ...driver], {
				stdin: "ignore",
				stdout: "pipe",
				stderr: "pipe",
			});
			const [out, err] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
			expect({ out: out.trim().split("\n"), err }).toEqual({
				out: [
					"the log names the option True",
					"our flags True",
					"pipe",
					"refused by name True",
					"terminal, hung up True",
					"stream refused by name True",
					"stream",
					"refused without a path True",
					"named pipe",
					"file, with a position of its own True",
					"memfd",
				],
				err: "",
			});
		} finally {
			rmSync(dir, { recursive: true, force: true });
		}
	},
	180_000,
);
