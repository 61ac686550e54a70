// SPDX-License-Identifier: GPL-2.0-only
// vfork in flight: it's waited for, also where a cgroup keeps the tree from moving, and where the child alone is dumped.

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freezeTree } from "../../src/engine/freeze.ts";
import { describeAsRoot } from "../as-root.ts";

const criu = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");
const FREEZERS = ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"].filter(
	(path) =>
		existsSync(join(path, "cgroup.procs")) &&
		(path.endsWith("freezer") || existsSync(join(path, "cgroup.controllers"))),
);

/** The program, and the number of its child in vfork. */
async function start(dir: string) {
	const program = join(dir, "program");
	const source = join(import.meta.dir, "vfork.c");
	const built = spawnSync("gcc", ["-O1", "-Wall", "-Wextra", "-Werror", "-o", program, source]);
	expect(built.stderr.toString()).toBe("");
	const target = Bun.spawn(["setsid", program], { cwd: dir, stdin: "ignore", stdout: "pipe", stderr: "ignore" });
	const { value } = await target.stdout.getReader().read();
	return { target, child: Number(Buffer.from(value ?? []).toString()) };
}

/** Works when its last process has been reaped. */
function tryRemove(path: string): boolean {
	try {
		rmdirSync(path);
		return true;
	} catch {
		return false;
	}
}

describeAsRoot("a vfork in flight", () => {
	test.each(FREEZERS)(
		"goes on when the tree is frozen by a cgroup below %s",
		async (freezer) => {
			const dir = mkdtempSync(join(tmpdir(), "criu-vfork-"));
			const path = join(freezer, `criu-vfork-${process.pid}`);
			const { target, child } = await start(dir);
			try {
				mkdirSync(path);
				for (const pid of [target.pid, child]) writeFileSync(join(path, "cgroup.procs"), `${pid}`);
				using frozen = freezeTree(target.pid, { timeoutSec: 5, freezeCgroup: path });
				expect(frozen.tasks.map(({ pid }) => pid)).toEqual([target.pid, child]);
			} finally {
				process.kill(child, "SIGKILL");
				target.kill("SIGKILL");
				await target.exited;
				for (let round = 0; round < 200 && !tryRemove(path); round++) await Bun.sleep(10);
				rmSync(dir, { recursive: true, force: true });
			}
		},
		60_000,
	);

	test("of which only the child is dumped is waited for", async () => {
		const dir = mkdtempSync(join(tmpdir(), "criu-vfork-"));
		const { target, child } = await start(dir);
		try {
			const { status, stderr } = spawnSync(criu, ["dump", "-R", "-t", `${child}`, "-D", dir], { encoding: "utf8" });
			expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
		} finally {
			process.kill(child, "SIGKILL");
			target.kill("SIGKILL");
			await target.exited;
			rmSync(dir, { recursive: true, force: true });
		}
	}, 60_000);
});
