// SPDX-License-Identifier: GPL-2.0-only
// Infect and cure: what a process is like afterwards, when all goes well and when the engine dies.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { findHole } from "../../src/agent/injected.ts";
import { Program } from "../../src/agent/program.ts";
import * as nr from "../../src/kernel/abi/syscalls.x86_64.ts";
import { describeAsRoot } from "../as-root.ts";
import { VICTIMS } from "../faults/victim.ts";
import { freezeOne } from "../frozen.ts";
import { infect, lookAt, Patient } from "./patient.ts";

const SIGUSR1 = "SIGUSR1";
const modes = VICTIMS.filter(({ stopped, storm }) => !stopped && !storm);
const startOf = ({ mode, linkStatic }: (typeof modes)[number]) =>
	Patient.start(mode, linkStatic ? "target-static" : "target");

describe("the agent's place", () => {
	test("is the middle of the largest hole, on a boundary of a MiB", () => {
		const vmas = [
			{ start: 0x400000n, end: 0x500000n },
			{ start: 0x7f0000000000n, end: 0x7f0000100000n },
		];
		const hole = findHole(vmas, 0x28000);
		expect(hole).toBe(((0x500000n + 0x7f0000000000n) / 2n) & ~0xfffffn);
	});

	test("is refused when no hole is large enough", () => {
		const full = [{ start: 0x10000n, end: 0x7fffffff0000n }];
		expect(() => findHole(full, 0x28000)).toThrow(expect.objectContaining({ code: "NO_HOLE" }));
	});
});

describeAsRoot("infect and cure leave registers, mask, stack and mappings as they were", () => {
	for (const kind of modes)
		for (const restorer of [true, false])
			test(`of a program ${kind.name}${restorer ? "" : ", without a restorer in it"}`, async () => {
				await using patient = await startOf(kind);
				for (let i = 0; i < 5; i++) {
					{
						using frozen = freezeOne(patient.pid, 0);
						const before = lookAt(patient.pid);
						const agent = infect(frozen, restorer);
						const program = new Program();
						program.syscall("pid", nr.SYS_getpid, [], { check: { equal: patient.pid } });
						agent.programs.run(program);
						agent.cure();
						expect(lookAt(patient.pid)).toEqual(before);
					}
					if (kind.poke) patient.kill(SIGUSR1);
				}
				if (kind.poke) await patient.until(() => patient.read(1) > 0, "progress");
				else await patient.untilWell();
				expect([patient.read(2), patient.read(4)]).toEqual([0, 0]);
			}, 30_000);
});

/** Runs infect-and-hang.ts on a process and ends it when it says that it's in. */
async function infectAndDie(pid: number, restorer: boolean, end: "hang" | "throw" | "exit"): Promise<void> {
	const argv = [process.execPath, join(import.meta.dir, "infect-and-hang.ts")];
	const child = Bun.spawn([...argv, String(pid), restorer ? "with" : "without", end], {
		stdin: "ignore",
		stdout: "pipe",
		stderr: "ignore",
	});
	const reader = child.stdout.getReader();
	const { value } = await reader.read();
	expect(Buffer.from(value ?? []).toString()).toBe("infected\n");
	if (end === "hang") child.kill("SIGKILL");
	await child.exited;
}

describeAsRoot("an agent whose engine dies takes itself out", () => {
	for (const kind of modes)
		test.each([true, false])(
			`of a program ${kind.name} (restorer in it: %p)`,
			async (restorer) => {
				await using patient = await startOf(kind);
				await infectAndDie(patient.pid, restorer, "hang");
				if (kind.poke) patient.kill(SIGUSR1);
				if (kind.poke) await patient.until(() => patient.read(1) > 0, "progress");
				else await patient.untilWell();
				expect(patient.readMaps()).not.toContain("/dev/zero");
				expect(patient.read(2)).toBe(0);
			},
			30_000,
		);

	test.each(["throw", "exit"] as const)("when the engine ends by %s", async (end) => {
		await using patient = await Patient.start("busy");
		await infectAndDie(patient.pid, true, end);
		await patient.untilWell();
	});
});
