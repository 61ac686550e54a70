// SPDX-License-Identifier: GPL-2.0-only
// Action scripts at every hook, and how a run may end: --exec-cmd, --pidfile, detached, as a sibling, by a signal.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { CRIU, endAndWait, isAlive, startTarget } from "../rpc/client.ts";

describeAsRoot("a run", () => {
	let dir: string;
	let target: Awaited<ReturnType<typeof startTarget>>;
	beforeEach(async () => {
		dir = mkdtempSync(join(tmpdir(), "criu-hooks-"));
		mkdirSync(join(dir, "images"));
		const script = [
			"#!/bin/sh",
			// biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
			'echo "$CRTOOLS_SCRIPT_ACTION ${CRTOOLS_INIT_PID-none} $(readlink "$CRTOOLS_IMAGE_DIR") $#" >> hooks',
			'echo "said at $CRTOOLS_SCRIPT_ACTION"',
			'[ "$CRTOOLS_SCRIPT_ACTION" != "$FAIL_AT" ]',
		];
		writeFileSync(join(dir, "hook"), `${script.join("\n")}\n`);
		chmodSync(join(dir, "hook"), 0o755);
		target = await startTarget();
	});
	afterEach(async () => {
		await target.kill();
		await endAndWait(target.pid);
		rmSync(dir, { recursive: true, force: true });
	});

	function criu(words: string[], failAt = "") {
		const places = ["-D", join(dir, "images"), "-W", dir, "-o", "log", "-v4"];
		const child = Bun.spawnSync([CRIU, ...words, ...places], {
			env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", FAIL_AT: failAt },
			stdin: "ignore",
		});
		return { code: child.exitCode, err: child.stderr.toString(), log: readFileSync(join(dir, "log"), "utf8") };
	}

	/** Lines that the script wrote since the last time: hook, pid, whether it saw the images, arguments. */
	function takeHooks(): string[] {
		const file = join(dir, "hooks");
		if (!existsSync(file)) return [];
		const lines = readFileSync(file, "utf8").trim().split("\n");
		rmSync(file);
		return lines.map((line) => line.replace(join(dir, "images"), "images").replace(String(target.pid), "pid"));
	}

	const statusOf = (pid: number) => readFileSync(`/proc/${pid}/status`, "latin1");
	const parentOf = (pid: number) => Number(/^PPid:\s+(\d+)$/m.exec(statusOf(pid))?.[1]);

	test("runs action scripts, which can stop it until all is done", async () => {
		const dump = ["dump", "-t", String(target.pid), "--action-script", join(dir, "hook")];
		expect(criu(dump, "pre-dump")).toMatchObject({ code: 1 });
		expect(takeHooks()).toEqual(["pre-dump pid images 0"]);
		const late = criu(dump, "post-dump");
		expect(late.code).toBe(255);
		expect(late.err).toContain(`the action script ${join(dir, "hook")} ended with exit code 1 at post-dump`);
		expect(late.log).toContain("said at pre-dump");
		expect(takeHooks()).toEqual(["pre-dump pid images 0", "post-dump pid images 0"]);
		expect(statusOf(target.pid)).toMatch(/^TracerPid:\s+0$/m);
		// The last one given runs first, and a running tree has stood still until they were asked.
		const both = criu([...dump, "--action-script", "./no-such-script", "--leave-running"]);
		expect(both.code).toBe(1);
		expect(both.err).toContain("the action script ./no-such-script can't be run at pre-dump");
		expect(takeHooks()).toEqual([]);
		expect(criu(dump).code).toBe(0);
		await target.kill();
		takeHooks();
		const restore = ["restore", "-d", "--action-script", join(dir, "hook"), "--pidfile", "pid"];
		for (const hook of ["pre-restore", "post-restore"]) {
			expect(criu(restore, hook).code).toBe(1);
			expect(isAlive(target.pid)).toBe(false);
			expect(existsSync(join(dir, "pid"))).toBe(false);
		}
		takeHooks();
		for (const hook of ["pre-resume", "post-resume"]) {
			const { code, log } = criu(restore, hook);
			expect(code).toBe(0);
			expect(log).toContain(`at ${hook}: the restore goes on`);
			expect(takeHooks()).toEqual([
				"pre-restore none images 0",
				"post-restore pid images 0",
				"pre-resume pid images 0",
				"post-resume pid images 0",
			]);
			expect(readFileSync(join(dir, "pid"), "utf8")).toBe(String(target.pid));
			rmSync(join(dir, "pid"));
			await endAndWait(target.pid);
		}
	});

	test("ends as it was told to: as another program, as a parent that waits, beside its child", async () => {
		expect(criu(["dump", "-t", String(target.pid)]).code).toBe(0);
		await target.kill();
		const shown = join(dir, "shown");
		const look = `echo $$ $(sed -n 's/^PPid:.//p' /proc/${target.pid}/status) > ${shown}; kill -9 ${target.pid}; exit 7`;
		const missing = criu(["restore", "--exec-cmd", "--", "no-such-program"]);
		expect(missing.code).toBe(1);
		expect(missing.err).toContain("there is no program no-such-program");
		const places = ["-D", join(dir, "images"), "-W", dir];
		const exec = Bun.spawnSync([CRIU, "restore", ...places, "--exec-cmd", "--", "sh", "-c", look], { stdin: "ignore" });
		expect(exec.exitCode).toBe(7);
		const [shell, parent] = readFileSync(shown, "utf8").trim().split(" ");
		expect(shell).toBe(parent ?? "");
		await endAndWait(target.pid);
		// With the root of a mount namespace: one that stays in the host's has no use for it.
		expect(criu(["restore", "-d", "-S", "--root", "/", "--pidfile", "pid"]).code).toBe(0);
		expect(parentOf(Number(readFileSync(join(dir, "pid"), "utf8")))).toBe(process.pid);
		await endAndWait(target.pid);
		expect(criu(["restore", "-S"]).err).toContain("--restore-sibling works only together with --restore-detached");
		expect(criu(["restore", "-d", "--pidfile", "pid"]).err).toContain("cannot write pid file pid");
		expect(isAlive(target.pid)).toBe(false);
	});

	test("is rolled back by a signal", async () => {
		// The script holds it at a hook until the signal has been sent.
		writeFileSync(join(dir, "hold"), "#!/bin/sh\nkill -TERM $PPID\n");
		chmodSync(join(dir, "hold"), 0o755);
		const { code, err } = criu(["dump", "-t", String(target.pid), "--action-script", join(dir, "hold")]);
		expect(code).toBe(1);
		expect(err).toContain("error: ended by SIGTERM");
		expect(statusOf(target.pid)).toMatch(/^TracerPid:\s+0$/m);
		expect(criu(["dump", "-t", String(target.pid)]).code).toBe(0);
		await target.kill();
		expect(criu(["restore", "-d", "--action-script", join(dir, "hold")]).err).toContain("error: ended by SIGTERM");
		expect(isAlive(target.pid)).toBe(false);
	});
});
