// SPDX-License-Identifier: GPL-2.0-only
// criu is killed, or fails, at each point of its dump of a program under seccomp, which holds again from that moment: the
// program survives, even where its filters forbid what the way back would take. Likewise programs without a C library, whose
// way back leads over instructions that happen to be there.

import { test } from "bun:test";
import { describeAsRoot } from "../as-root.ts";
import { findLack } from "../matrix/machine.ts";
import { listScenarios } from "../matrix/scenario.ts";
import { limitJobs } from "../matrix.ts";
import { type FaultCase, playScenarioFaults } from "./scenario-faults.ts";

const inTurn = limitJobs(Number(process.env["CRIU_TEST_JOBS"] ?? "3"));

const CASES: readonly FaultCase[] = [
	{ name: "seccomp_filter" },
	{ name: "seccomp_threads" },
	{ name: "seccomp_strict_thread" },
	// Right then any stop would end it, as SIGSTOP does: the kernel itself makes the forbidden call.
	{ name: "seccomp_no_restart", skip: { point: "dump:seized", action: "kill" } },
	{ name: "seccomp_allowlist", keepsArea: true },
	{ name: "seccomp_strict", keepsArea: true },
	{ name: "no_libc" },
	{ name: "no_libc_no_vdso" },
	{ name: "static_musl" },
	{ name: "compat_32bit" },
	{ name: "ia32_threads" },
	// The place of looks of a socket is the program's.
	{ name: "unix_pairs", points: ["look:moved"] },
];

const scenarios = listScenarios();

/** What the machine lacks for a case. */
function lackOf(name: string): string | undefined {
	const { needs = [] } = scenarios.find((one) => one.name === name) ?? {};
	return needs.map(findLack).find((lack) => lack !== undefined);
}

describeAsRoot("a program survives when criu", () => {
	for (const one of CASES) {
		const lack = lackOf(one.name);
		for (const [action, how] of [
			["kill", "is killed"],
			["error", "fails"],
		] as const)
			test.skipIf(lack !== undefined).concurrent(
				`${how} at any point of its dump: ${one.name}${lack === undefined ? "" : ` (skipped: ${lack})`}`,
				() => inTurn(() => playScenarioFaults(one, action)),
				1_800_000, // they wait for their turn
			);
	}
});
