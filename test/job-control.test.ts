// SPDX-License-Identifier: GPL-2.0-only
// A shell with background and stopped jobs on a pty goes on with all of them on another pty.

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const python = Bun.which("python3", { PATH: "/usr/bin:/bin:/usr/local/bin" });
const reason = process.getuid?.() !== 0 ? "needs root" : python === null ? "needs python3" : undefined;

test.skipIf(reason !== undefined)(
	`bash keeps its jobs, their terminal and its foreground${reason === undefined ? "" : ` (skipped: ${reason})`}`,
	async () => {
		const images = mkdtempSync(join(tmpdir(), "criu-jobs-"));
		try {
			// As pid 1 the shell reaps what the dumped one leaves behind.
			const script = `${python} ${ROOT}/test/job-control.py ${ROOT}/dist/criu ${images}; echo status $?`;
			const run = Bun.spawn(["unshare", "-fpm", "--mount-proc", "bash", "-c", script], {
				stdin: "ignore",
				stdout: "pipe",
				stderr: "pipe",
			});
			const [out, err] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
			expect({ out: out.trim().split("\n"), err }).toEqual({
				out: ["jobs True", "foreground job interrupted", "background job ended", "new jobs", "shell ended", "status 0"],
				err: "",
			});
		} finally {
			rmSync(images, { recursive: true, force: true });
		}
	},
	300_000,
);
