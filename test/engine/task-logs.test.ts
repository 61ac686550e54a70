// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { CRIU, makeImagesDir, startTarget } from "../rpc/client.ts";

describeAsRoot("--log-pid", () => {
	test("writes what each process does into a file of its own, beside the log", async () => {
		using images = makeImagesDir();
		const target = await startTarget();
		try {
			const words = ["-D", images.dir, "-v4"];
			const run = (...more: string[]) => Bun.spawnSync([CRIU, ...more, ...words]).stderr.toString();
			expect(run("dump", "-t", String(target.pid), "-o", "dump.log")).toBe("");
			await target.kill();
			expect(run("restore", "-d", "-o", "restore.log", "--log-pid")).toBe("");
			process.kill(target.pid, "SIGKILL");
			const names = readdirSync(images.dir).filter((name) => name.startsWith("restore.log"));
			expect(names.sort()).toEqual(["restore.log", `restore.log.${target.pid}`]);
			const own = join(images.dir, `restore.log.${target.pid}`);
			expect(statSync(own).mode & 0o777).toBe(0o600);
			expect(readFileSync(own, "utf8")).toMatch(/^(\(\d\d\.\d{6}\) [^\n]+\n)+$/);
		} finally {
			await target.kill();
		}
	});
});
