// SPDX-License-Identifier: GPL-2.0-only

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listConfigFiles, parseConfig, readConfigFile } from "../../src/cli/config-file.ts";
import type { OptionSpelling } from "../../src/cli/getopt.ts";

const spellings: OptionSpelling<string>[] = [
	{ name: "log-file", short: "o", arg: "required", target: "log" },
	{ name: "verbosity", short: "v", arg: "optional", target: "verbosity" },
	{ name: "shell-job", short: "j", arg: "none", target: "job" },
];

function parse(text: string): string[] {
	return parseConfig(text, "test.conf", spellings).map((item) =>
		item.kind === "option" ? `${item.target}=${item.value}` : item.kind === "mistake" ? `[${item.text}]` : item.word,
	);
}

describe("parseConfig", () => {
	test.each<[string, string[]]>([
		["", []],
		["# all comment", []],
		["   # too", []],
		["log-file a.log", ["log=a.log"]],
		["  log-file \t a.log  ", ["log=a.log"]],
		["log-file=a.log", ["log=a.log"]],
		["log-file a b", ["log=a"]],
		["log-file x#y", ["log=x"]],
		['log-file "a b"', ["log=a b"]],
		['log-file "a \\"b\\""', ['log=a "b"']],
		['log-file ""', ["log="]],
		["shell-job", ["job=undefined"]],
		["shell-job yes", ["job=undefined"]],
		["verbosity 4", ["verbosity=undefined"]],
		["verbosity=4", ["verbosity=4"]],
		["shell-job\nlog-file z\n", ["job=undefined", "log=z"]],
	])("reads %j", (text, items) => {
		expect(parse(text)).toEqual(items);
	});

	test.each(['log-file "', 'log-file "a', 'log-file "a" b', 'log-file "a\\"'])("refuses %j with its line", (text) => {
		expect(() => parse(`shell-job\n${text}`)).toThrow("Unsupported configuration file format in test.conf:2");
	});

	test.each([
		["dump", "[unrecognized option '--dump']"],
		["-j", "[unrecognized option '---j']"],
		["--shell-job", "[unrecognized option '----shell-job']"],
		["log-file", "[option '--log-file' requires an argument]"],
	])("takes %j for a mistake", (text, mistake) => {
		expect(parse(text)).toEqual([mistake]);
	});
});

describe("listConfigFiles", () => {
	const env = { HOME: "/home/u", CRIU_CONFIG_FILE: "/env.conf" };

	test("gives system, user and environment in this order", () => {
		expect(listConfigFiles({ file: undefined, noDefault: false }, env)).toEqual([
			"/etc/criu/default.conf",
			"/home/u/.criu/default.conf",
			"/env.conf",
		]);
	});

	test("replaces the default files by a named one, which comes last", () => {
		expect(listConfigFiles({ file: "/my.conf", noDefault: false }, env)).toEqual(["/env.conf", "/my.conf"]);
	});

	test("leaves the default files out when told so, but not the environment's", () => {
		expect(listConfigFiles({ file: undefined, noDefault: true }, env)).toEqual(["/env.conf"]);
	});
});

describe("readConfigFile", () => {
	let dir: string;
	beforeAll(() => {
		dir = mkdtempSync(join(tmpdir(), "criu-config-"));
	});
	afterAll(() => rmSync(dir, { recursive: true }));

	test("gives undefined for what is not there or not a file", () => {
		expect(readConfigFile(join(dir, "missing"))).toBeUndefined();
		expect(readConfigFile(dir)).toBeUndefined();
	});

	test("refuses an endless file", () => {
		expect(() => readConfigFile("/dev/zero")).toThrow("too long");
	});

	test("gives the text", () => {
		writeFileSync(join(dir, "a"), "shell-job\n");
		expect(readConfigFile(join(dir, "a"))).toBe("shell-job\n");
	});
});
