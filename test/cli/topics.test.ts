// SPDX-License-Identifier: GPL-2.0-only
// Help on frequent failures, and the line for somebody at a terminal.

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeBytes, isTerminal } from "../../src/cli/summary.ts";
import { runHelp, topics } from "../../src/cli/topics.ts";

const SRC = join(import.meta.dir, "../../src");

function help(...words: string[]): string {
	let out = "";
	runHelp({
		words,
		print: (text) => {
			out += text;
		},
	});
	return out;
}

describe("criu help", () => {
	test("explains ten failures by name and by code", () => {
		expect(topics.length).toBeGreaterThanOrEqual(10);
		for (const { name, title, codes } of topics) {
			expect(help(name)).toStartWith(`${name}: ${title}\n`);
			for (const code of codes) expect(help(code)).toBe(help(name));
		}
		expect(help()).toContain("Topics for criu help TOPIC:\n  shell-job");
		expect(() => help("melt")).toThrow("there is no help on melt");
	});

	test("knows no code that no error has, and names no option that is not there", () => {
		const sources = readdirSync(SRC, { recursive: true })
			.map(String)
			.filter((name) => name.endsWith(".ts") && !name.endsWith("topics.ts"))
			.map((name) => readFileSync(join(SRC, name), "utf8"))
			.join("\n");
		const codes = topics.flatMap((topic) => topic.codes);
		expect(codes.filter((code) => !new RegExp(`\\b${code}\\b`).test(sources))).toEqual([]);
		const options = topics.flatMap((topic) => topic.text.match(/(?<=--)[a-z][a-z-]+/g) ?? []);
		const foreign = ["privileged", "cap-add", "security-opt"]; // docker's
		expect(options.filter((name) => !sources.includes(`"${name}"`) && !foreign.includes(name))).toEqual([]);
	});
});

describe("the summary", () => {
	test.each([
		[0, "0 bytes"],
		[1023, "1023 bytes"],
		[1024, "1.0 KiB"],
		[12.4 * 1024 ** 2, "12 MiB"],
		[3.25 * 1024 ** 3, "3.3 GiB"],
	])("says %d bytes as %s", (bytes, text) => {
		expect(describeBytes(bytes)).toBe(text);
	});

	test("is for terminals only", () => {
		expect(isTerminal(-1)).toBe(false);
		expect(isTerminal(9999)).toBe(false);
	});
});
