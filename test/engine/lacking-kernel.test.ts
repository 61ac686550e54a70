// SPDX-License-Identifier: GPL-2.0-only
// Kernels that forbid what makes dumps and restores quick: no io_uring, and no writes past the protection of memory. The other way
// has to lead to the same. deny.c plays them.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { Churn, criu } from "../pages/churn.ts";

const TIMEOUT = 300_000;
const WAIT_MS = 120_000;
const dir = mkdtempSync(join(tmpdir(), "lacking-"));
const deny = join(dir, "deny");

beforeAll(() => {
	const args = ["-O2", "-Wall", "-Wextra", "-Werror", "-o", deny, join(import.meta.dir, "deny.c")];
	expect(String(Bun.spawnSync(["gcc", ...args]).stderr)).toBe("");
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describeAsRoot("a kernel that forbids", () => {
	test(
		"writes past the protection of memory has restores of all of it",
		async () => {
			await using churn = await Churn.start(512);
			await churn.command("churn", 200);
			const images = churn.makeImages();
			await churn.mustCriu(...churn.arguments("dump", images, undefined));
			await churn.stage.died(churn.pid);
			const restore = [deny, "own-memory", criu, "restore", "-d", "-D", images, "-W", churn.dir];
			expect(await churn.stage.run(join(churn.dir, "log"), churn.dir, restore)).toEqual({ how: "exit", code: 0 });
			await churn.expectIntact("after a restore");
		},
		TIMEOUT,
	);

	test(
		"io_uring has dumps with all options of sockets",
		async () => {
			const wrapper = join(dir, "criu");
			writeFileSync(
				wrapper,
				`#!/bin/sh\ncase "$1" in dump) exec ${deny} io_uring ${criu} "$@";; esac\nexec ${criu} "$@"\n`,
			);
			chmodSync(wrapper, 0o755);
			const args = [process.execPath, "test/matrix.ts", "--mode", "ours-ours", "inet_options"];
			const child = Bun.spawn(args, {
				cwd: join(import.meta.dir, "../.."),
				env: { ...process.env, CRIU_BIN: wrapper, CRIU_PEER_DIR: dir },
				stdout: "pipe",
				stderr: "pipe",
				timeout: WAIT_MS,
			});
			const [code, output] = await Promise.all([child.exited, new Response(child.stdout).text()]);
			expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining("1 runs, 0 failed") });
		},
		TIMEOUT,
	);
});
