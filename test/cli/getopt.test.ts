// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import { type OptionSpelling, scanOptions } from "../../src/cli/getopt.ts";

const spellings: OptionSpelling<string>[] = [
	{ name: "tree", short: "t", arg: "required", target: "tree" },
	{ name: "verbosity", short: "v", arg: "optional", target: "verbosity" },
	{ name: "leave-running", short: "R", arg: "none", target: "running" },
	{ name: "leave-stopped", short: "s", arg: "none", target: "stopped" },
	{ name: "tcp-close", arg: "none", target: "close" },
	{ name: "tcp-established", arg: "none", target: "established" },
	{ name: "network-lock", arg: "required", target: "lock" },
	{ name: "new-pidns", arg: "none", weak: true, target: "pidns" },
];

/** Items in short: `target=value`, words as they are, mistakes in brackets. */
function scan(...words: string[]): string[] {
	return scanOptions(words, spellings).map((item) => {
		if (item.kind === "word") return item.word;
		if (item.kind === "mistake") return `[${item.text}]`;
		return item.value === undefined ? item.target : `${item.target}=${item.value}`;
	});
}

describe("scanOptions", () => {
	test.each<[string[], string[]]>([
		[
			["dump", "-t", "5"],
			["dump", "tree=5"],
		],
		[
			["-t5", "dump"],
			["tree=5", "dump"],
		],
		[["--tree=5"], ["tree=5"]],
		[["--tree", "5"], ["tree=5"]],
		[["--tree="], ["tree="]],
		[["--tree", "--leave-running"], ["tree=--leave-running"]],
		[["-t", "-5"], ["tree=-5"]],
		[["-v4"], ["verbosity=4"]],
		[["-vvv"], ["verbosity=vv"]],
		[
			["-v", "4"],
			["verbosity", "4"],
		],
		[["--verbosity=4"], ["verbosity=4"]],
		[
			["--verbosity", "4"],
			["verbosity", "4"],
		],
		[["-Rst5"], ["running", "stopped", "tree=5"]],
		[["-Rv4"], ["running", "verbosity=4"]],
		[
			["-R", "--", "-s", "--tree"],
			["running", "-s", "--tree"],
		],
		[["-"], ["-"]],
		[[""], [""]],
	])("reads %j as getopt does", (words, items) => {
		expect(scan(...words)).toEqual(items);
	});

	test("takes an abbreviation that fits one name only", () => {
		expect(scan("--tcp-est", "--tr", "7", "--verb=1")).toEqual(["established", "tree=7", "verbosity=1"]);
	});

	test("takes a name that is also the start of another one", () => {
		const both: OptionSpelling<string>[] = [
			{ name: "pidfile", arg: "required", target: "file" },
			{ name: "pid", arg: "required", target: "pid" },
		];
		expect(scanOptions(["--pid", "5"], both)).toEqual([{ kind: "option", target: "pid", name: "--pid", value: "5" }]);
	});

	test("lets an addition of ours not disturb an abbreviation", () => {
		expect(scan("--ne", "skip", "--new")).toEqual(["lock=skip", "pidns"]);
	});

	test.each<[string[], string]>([
		[["--tcp"], "[option '--tcp' is ambiguous; possibilities: '--tcp-close' '--tcp-established']"],
		[["--nope"], "[unrecognized option '--nope']"],
		[["--nope=3"], "[unrecognized option '--nope']"],
		[["--leave-r=yes"], "[option '--leave-running' doesn't allow an argument]"],
		[["--tree"], "[option '--tree' requires an argument]"],
		[["-t"], "[option requires an argument -- 't']"],
		[["-q"], "[invalid option -- 'q']"],
	])("tells the mistake in %j", (words, text) => {
		expect(scan(...words)).toEqual([text]);
	});

	test("goes on after a mistake", () => {
		expect(scan("-qR", "--nope", "dump")).toEqual([
			"[invalid option -- 'q']",
			"running",
			"[unrecognized option '--nope']",
			"dump",
		]);
	});

	test("ends with an item for every word, whatever they hold", () => {
		for (const word of ["---", "--=", "--=x", "-=", "--\0", "-\u{1f600}"]) expect(scan(word)).toHaveLength(1);
	});
});
