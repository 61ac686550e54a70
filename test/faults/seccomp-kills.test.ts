// SPDX-License-Identifier: GPL-2.0-only
// criu is killed, or fails, at each point of its dump of a program under seccomp, which holds again from that moment: the
// program survives, even where its filters forbid what the way back would take.

import { describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FAULT_POINTS } from "../../src/fault.ts";
import { buildScenario, buildStage, listScenarios } from "../matrix/scenario.ts";
import { stateOf } from "../matrix/snapshot.ts";
import { Stage } from "../matrix/stage.ts";
import { limitJobs } from "../matrix.ts";
import { criu } from "./victim.ts";

const inTurn = limitJobs(Number(process.env["CRIU_TEST_JOBS"] ?? "3"));
const isRoot = process.getuid?.() === 0;
const SIGTERM = 15;

const dumpPoints = FAULT_POINTS.filter((point) => !point.startsWith("restore:"));

/** A scenario's program and whether its filters let it unmap memory, without which the agent's area stays. */
const CASES: readonly { name: string; cleans: boolean }[] = [
	{ name: "seccomp_filter", cleans: true },
	{ name: "seccomp_threads", cleans: true },
	{ name: "seccomp_strict_thread", cleans: true },
	{ name: "seccomp_no_restart", cleans: true },
	{ name: "seccomp_allowlist", cleans: false },
	{ name: "seccomp_strict", cleans: false },
];

async function openCase(name: string): Promise<{ stage: Stage; dir: string; program: string }> {
	const scenario = listScenarios().find((one) => one.name === name);
	if (scenario === undefined) throw new Error(`no scenario ${name}`);
	const program = await buildScenario(scenario);
	const dir = mkdtempSync(join(tmpdir(), "seccomp-kills-"));
	chmodSync(dir, 0o755);
	return { stage: await Stage.open({ program: await buildStage(), log: join(dir, "stage.log") }), dir, program };
}

/** What has to stay: threads and their masks; mappings as well unless the agent's may be left. */
function look(path: string, cleans: boolean): string {
	const threads = readdirSync(`${path}/task`).map((tid) => {
		const status = readFileSync(`${path}/task/${tid}/status`, "latin1");
		return [tid, ...(status.match(/^(Sig(Blk|Ign|Cgt)|Seccomp\w*):.*$/gm) ?? [])].join(" ");
	});
	return [...threads, ...(cleans ? [readFileSync(`${path}/maps`, "latin1")] : [])].join("\n");
}

/** Waits for the end of what the agent does on its own. */
async function expectSame(path: string, before: string, cleans: boolean, after: string): Promise<void> {
	const deadline = performance.now() + 5000;
	while (look(path, cleans) !== before && performance.now() < deadline) await Bun.sleep(1);
	expect(`${after}\n${look(path, cleans)}`).toBe(`${after}\n${before}`);
}

async function playCase({ name, cleans }: { name: string; cleans: boolean }, action: string): Promise<void> {
	const { stage, dir, program } = await openCase(name);
	try {
		const out = join(dir, "out");
		const pid = await stage.start(out, dir, [program, out]);
		await stage.ready(pid);
		const path = stage.procPath(pid);
		while (stateOf(path) !== "S") await Bun.sleep(1);
		// A strict one says that it's ready before it is in that mode.
		await Bun.sleep(20);
		const before = look(path, cleans);
		for (const point of dumpPoints) {
			// Right then any stop would end it, as SIGSTOP does: the kernel itself makes the forbidden call.
			if (point === "dump:seized" && action === "kill" && name === "seccomp_no_restart") continue;
			const images = mkdtempSync(join(dir, "images-"));
			const args = ["env", `CR_FAULT=${point}:${action}`, criu, "dump", "-t", String(pid), "-R", "-D", images];
			await stage.run(join(dir, "run"), dir, args);
			await expectSame(path, before, cleans, point);
			rmSync(images, { recursive: true });
		}
		await stage.kill(pid, SIGTERM);
		expect(await stage.died(pid)).toEqual({ how: "exit", code: 0 });
		expect(readFileSync(out, "latin1")).toContain("PASS\n");
	} finally {
		await stage.close();
		rmSync(dir, { recursive: true, force: true });
	}
}

describe.skipIf(!isRoot)("a program under seccomp survives when criu", () => {
	for (const one of CASES) {
		test.concurrent(
			`is killed at any point of its dump: ${one.name}`,
			() => inTurn(() => playCase(one, "kill")),
			120_000,
		);
		test.concurrent(`fails at any point of its dump: ${one.name}`, () => inTurn(() => playCase(one, "error")), 120_000);
	}
});
