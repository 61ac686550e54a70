// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "bun:test";
import { join } from "node:path";

test("a lazy server asks for what is left although nothing is on its way that would wake it", () => {
	const words = [process.execPath, join(import.meta.dir, "pushed.ts")];
	const run = Bun.spawnSync(words, { timeout: 30_000, killSignal: "SIGKILL" });
	expect([run.stdout.toString(), run.stderr.toString()]).toEqual(["7 0x10000 12288\n", ""]);
}, 60_000);

test("a source that gives nothing for long counts as lost, whatever the program does meanwhile", () => {
	const words = [process.execPath, join(import.meta.dir, "silent.ts")];
	const run = Bun.spawnSync(words, { timeout: 30_000, killSignal: "SIGKILL" });
	const told = "the connection between dump and page server was cut: nothing came for 0.3 seconds\n";
	expect([run.stdout.toString(), run.stderr.toString()]).toEqual([told, ""]);
}, 60_000);
