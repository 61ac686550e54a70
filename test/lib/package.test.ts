// SPDX-License-Identifier: GPL-2.0-only
// The npm package: made, put into a project of its own without a network, type-checked there, and used by a program.

import { expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packLibrary } from "../../scripts/pack-lib.ts";
import { describeAsRoot } from "../as-root.ts";
import { CRIU, startTarget, TestService } from "../rpc/client.ts";

/** A crowded machine takes seconds for what is done in milliseconds. */
const PATIENCE_MS = 240_000;
const ROOT = join(import.meta.dir, "../..");

describeAsRoot("the npm package", () => {
	test(
		"can be installed, is typed, and does what it says",
		async () => {
			const dir = mkdtempSync(join(tmpdir(), "criu-package-"));
			await using service = await TestService.start();
			const target = await startTarget();
			try {
				const archive = await packLibrary(dir);
				const project = join(dir, "project");
				mkdirSync(join(project, "images"), { recursive: true });
				copyFileSync(join(import.meta.dir, "program.ts"), join(project, "program.ts"));
				const manifest = { name: "p", type: "module", dependencies: { criu: `file:${archive}` } };
				writeFileSync(join(project, "package.json"), JSON.stringify(manifest));
				const env = { PATH: `${dir}:/usr/bin:/bin`, HOME: dir, BUN_INSTALL_CACHE_DIR: join(dir, "cache") };
				const inProject = (...words: string[]) =>
					Bun.spawnSync(words, { cwd: project, env, stdin: "ignore", timeout: PATIENCE_MS });
				const installed = inProject(process.execPath, "install", "--no-progress");
				expect(installed.exitCode).toBe(0);
				const strict = [
					"--noEmit",
					"--strict",
					"--module",
					"esnext",
					"--moduleResolution",
					"bundler",
					"--types",
					"bun",
				];
				const roots = ["--typeRoots", join(ROOT, "node_modules/@types"), "--skipLibCheck", "false"];
				const typed = inProject(join(ROOT, "node_modules/.bin/tsc"), ...strict, ...roots, "program.ts");
				expect(typed.stdout.toString()).toBe("");
				// For the program it's the criu in PATH.
				symlinkSync(CRIU, join(dir, "criu"));
				const words = ["program.ts", join(project, "images"), String(target.pid), service.address];
				const child = Bun.spawn([process.execPath, ...words], { cwd: project, env, stdio: ["ignore", "pipe", "pipe"] });
				const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
				expect(errors).toBe("");
				expect(output.trim().split("\n")).toEqual([
					'version {"major":4,"minor":2,"sublevel":0}',
					"pidfd_store true",
					"no process NO_SUCH_PID 3",
					"no service KernelError: connect to /nonexistent/socket: no such file or directory (ENOENT)",
					"no program true",
					"refused HOOK_FAILED undefined",
					"thrown RangeError: mine",
					"aborted Error: enough of the worker",
					"aborted Error: enough of the service",
					"aborted pre-dump in time",
					"aborted pre-dump in time",
					"too late Error: before",
					"dump false pre-dump query-ext-files post-dump",
					"ran on meanwhile true",
					"restore true pre-restore post-restore:true pre-resume post-resume",
				]);
				expect(await child.exited).toBe(0);
				process.kill(target.pid, "SIGKILL");
			} finally {
				await target.kill();
				rmSync(dir, { recursive: true, force: true });
			}
		},
		PATIENCE_MS,
	);
});
