// SPDX-License-Identifier: GPL-2.0-only
// The benchmark's command line, and what it starts for a wrapper script.

import { describe, expect, test } from "bun:test";
import { LOADS } from "../../bench/loads/index.ts";
import { BenchUsageError, helpText, parseBenchOptions } from "../../bench/options.ts";
import { unwrapScript } from "../../bench/programs.ts";
import { showWaitStatus } from "../../bench/stage.ts";

describe("options", () => {
	const parse = (...argv: string[]) => parseBenchOptions(argv, LOADS, "/default/criu");

	test("all loads with their own numbers of rounds are the default", () => {
		expect(parse()).toEqual({
			loads: LOADS,
			rounds: undefined,
			ours: "/default/criu",
			peer: undefined,
			cold: false,
			json: undefined,
		});
	});

	test("loads are taken in the order they are asked for", () => {
		const options = parse("--loads", "mem64,small", "--rounds", "3", "--peer=none");
		if (options === "help") throw new Error("help");
		expect(options.loads.map((load) => load.name)).toEqual(["mem64", "small"]);
		expect([options.rounds, options.peer]).toEqual([3, "none"]);
	});

	test("what makes no sense is refused with words for the user", () => {
		expect(() => parse("--loads", "huge")).toThrow('no load "huge"');
		for (const argv of [["--rounds", "0"], ["--rounds", "x"], ["--frob"], ["word"], ["--json"]]) {
			expect(() => parse(...argv)).toThrow(BenchUsageError);
		}
	});

	test("help names every load; their names are distinct", () => {
		expect(parse("-h")).toBe("help");
		for (const load of LOADS) expect(helpText(LOADS)).toContain(load.name);
		expect(new Set(LOADS.map((load) => load.name)).size).toBe(LOADS.length);
	});
});

describe("unwrapScript", () => {
	test("gives the command of a script that only starts another program", () => {
		const text = `#!/bin/sh\n# peer\nexec "/a b/ld.so" --library-path '/lib/x' --argv0 criu /sbin/criu "$@"\n`;
		expect(unwrapScript(text)).toEqual(["/a b/ld.so", "--library-path", "/lib/x", "--argv0", "criu", "/sbin/criu"]);
	});

	test("leaves alone what does more, or needs a shell to understand", () => {
		for (const text of [
			'exec /sbin/criu "$@"\n',
			'#!/bin/sh\nA=1\nexec /sbin/criu "$@"\n',
			'#!/bin/sh\nexec "$HOME/criu" "$@"\n',
			"#!/bin/sh\nexec /sbin/criu\n",
			'#!/bin/sh\nexec "/a"b "$@"\n',
			"#!/usr/bin/python3\nprint(1)\n",
		]) {
			expect(unwrapScript(text)).toBeUndefined();
		}
	});
});

test("a wait status is told as exit code or signal", () => {
	expect([showWaitStatus(0), showWaitStatus(0x100), showWaitStatus(9), showWaitStatus(0x8b)]).toEqual([
		"exit code 0",
		"exit code 1",
		"signal 9",
		"signal 11",
	]);
});
