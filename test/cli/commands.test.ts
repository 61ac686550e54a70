// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import manifest from "../../package.json";
import { checkWith } from "../../src/cli/check.ts";
import type { CommandContext } from "../../src/cli/command-context.ts";
import { commandTable } from "../../src/cli/commands.ts";
import { dumpWith } from "../../src/cli/dump.ts";
import { explainMissingPrivileges } from "../../src/cli/privileges.ts";
import { restoreWith } from "../../src/cli/restore.ts";
import { PROGRAM_VERSION, versionText } from "../../src/cli/version.ts";
import type { DumpEngine, RestoreEngine } from "../../src/engine/types.ts";
import { UnsupportedError } from "../../src/errors.ts";
import { defaultOptions, type Options } from "../../src/options.ts";

const blocker = new UnsupportedError("X", "fd 3 of pid 7 is odd", { remedy: "close it" });

/** Runs a command with changed options; gives its exit code and stdout. */
function run<E>(command: (engine: E, context: CommandContext) => number, engine: E, changes: Partial<Options>) {
	let out = "";
	let err = "";
	const options = { ...defaultOptions(), ...changes };
	const context: CommandContext = {
		options,
		words: [],
		line: { answer: undefined, command: undefined, words: [], options, seen: [] },
		program: "criu",
		print: (text) => {
			out += text;
		},
		printError: (text) => {
			err += text;
		},
	};
	const code = command(engine, context);
	return err === "" ? { code, out } : { code, out, err };
}

describe("dump", () => {
	const dumps: number[] = [];
	const engine: DumpEngine = {
		dump: (options) => {
			dumps.push(options.pid ?? 0);
			return {
				pid: options.pid ?? 0,
				stats: {
					freezingTime: 0,
					frozenTime: 0,
					memdumpTime: 0,
					memwriteTime: 0,
					pagesScanned: 0n,
					pagesSkippedParent: 0n,
					pagesWritten: 0n,
					pagesLazy: 0n,
					sharedPagesScanned: 0n,
					sharedPagesWritten: 0n,
				},
			};
		},
		preflight: (pid) => (pid === 7 ? [blocker] : []),
	};

	test("needs a pid", () => {
		expect(() => run(dumpWith, engine, {})).toThrow("pid not specified");
	});

	test("prints nothing but the statistics that were asked for", () => {
		expect(run(dumpWith, engine, { pid: 5 })).toEqual({ code: 0, out: "" });
		expect(run(dumpWith, engine, { pid: 6, displayStats: true }).out).toStartWith("Displaying dump stats:\n");
		expect(dumps).toEqual([5, 6]);
	});

	test("lists blockers on a dry run and does not dump", () => {
		const before = dumps.length;
		expect(run(dumpWith, engine, { pid: 7, dryRun: true })).toEqual({
			code: 1,
			out: "pid 7: 1 thing stops a dump:\nblocker 1 of 1 (X): fd 3 of pid 7 is odd\n  remedy: close it\n",
		});
		expect(run(dumpWith, engine, { pid: 8, dryRun: true })).toEqual({
			code: 0,
			out: "pid 8: nothing stops a dump.\n",
		});
		expect(dumps).toHaveLength(before);
	});
});

describe("restore", () => {
	const calls: string[] = [];
	const engine: RestoreEngine = {
		restore: (options) => {
			calls.push("restore");
			return {
				pid: 5,
				outsidePid: options.newPidns ? 105 : undefined,
				wait: () => {
					calls.push("wait");
					return 9;
				},
			};
		},
		planRestore: () => "the plan",
	};

	test("stays until the tree has ended, whatever its status", () => {
		calls.length = 0;
		expect(run(restoreWith, engine, {})).toEqual({ code: 0, out: "" });
		expect(calls).toEqual(["restore", "wait"]);
	});

	test("leaves a detached tree alone", () => {
		calls.length = 0;
		expect(run(restoreWith, engine, { restoreDetached: true }).code).toBe(0);
		expect(calls).toEqual(["restore"]);
	});

	test("prints the plan on a dry run and restores nothing", () => {
		calls.length = 0;
		expect(run(restoreWith, engine, { dryRun: true })).toEqual({ code: 0, out: "the plan\n" });
		expect(calls).toEqual([]);
	});

	test("tells the pid outside of a new pid namespace", () => {
		expect(run(restoreWith, engine, { newPidns: true }).out).toBe("pid 5 of the images runs as pid 105 here\n");
	});
});

describe("check", () => {
	test("prints the verdict and gives its exit code", () => {
		const good = { checkHost: () => ({ ok: true, lines: ["Looks good."], problems: [] }) };
		expect(run(checkWith, good, {})).toEqual({ code: 0, out: "Looks good.\n" });
		const bad = { checkHost: () => ({ ok: false, lines: [], problems: [blocker] }) };
		expect(run(checkWith, bad, {})).toEqual({
			code: 1,
			out: "",
			err: "error: fd 3 of pid 7 is odd; remedy: close it [X]\n",
		});
	});
});

describe("explainMissingPrivileges", () => {
	const SYS_ADMIN = 1n << 21n;
	const CHECKPOINT_RESTORE = 1n << 40n;

	test.each([
		[0, SYS_ADMIN, false, undefined],
		[0, CHECKPOINT_RESTORE, false, undefined],
		[1000, CHECKPOINT_RESTORE, true, undefined],
		[1000, CHECKPOINT_RESTORE, false, "--unprivileged"],
		[1000, 0n, true, "setcap"],
		[0, 0n, false, "CAP_CHECKPOINT_RESTORE"],
	])("for user %d with %d, unprivileged %p", (euid, capabilities, unprivileged, expected) => {
		const text = explainMissingPrivileges({ euid, capabilities }, unprivileged, "criu");
		if (expected === undefined) expect(text).toBeUndefined();
		else {
			expect(text).toContain(expected);
			expect(text?.trimEnd().split("\n")).toHaveLength(2);
		}
	});
});

describe("commandTable", () => {
	test("knows the words of CRIU 4.2, inspect and help", () => {
		const words =
			"dump pre-dump restore check page-server lazy-pages service swrk dedup cpuinfo inspect help exec show";
		expect(commandTable.map((command) => command.name)).toEqual(words.split(" "));
	});
});

describe("versionText", () => {
	test("starts as the callers expect and tells the package's version", () => {
		expect(versionText().split("\n")[0]).toBe("Version: 4.2");
		expect(PROGRAM_VERSION).toBe(manifest.version);
	});
});
