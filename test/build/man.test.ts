// SPDX-License-Identifier: GPL-2.0-only
// The manual page is made from the tables that the program itself works by.

import { describe, expect, test } from "bun:test";
import { writeCritPage } from "../../scripts/gen-crit-man.ts";
import { writeManualPage } from "../../scripts/gen-man.ts";
import { updateReadme, writeRefusals } from "../../scripts/gen-readme.ts";
import { commandTable } from "../../src/cli/commands.ts";
import { optionTable } from "../../src/cli/option-table.ts";
import { VERBS, VIEWS } from "../../src/crit/verbs.ts";

const page = writeManualPage();
const plain = page.replace(/\\f[BIR]/g, "").replaceAll("\\-", "-");

describe("README.md", () => {
	test("names what this version refuses, as the table has it", () => {
		const table = writeRefusals();
		for (const spec of optionTable) expect(table.includes(`\`--${spec.name}\``)).toBe(spec.since === "later");
		const text =
			"a\n<!-- made from the option table by scripts/gen-readme.ts -->\nstale words\n<!-- end of what is made -->\nb\n";
		const fresh = updateReadme(text);
		expect(fresh).toStartWith("a\n<!-- made");
		expect(fresh).toContain(table);
		expect(fresh).not.toContain("stale words");
		expect(updateReadme(fresh)).toBe(fresh);
		expect(() => updateReadme("nothing")).toThrow("lost the marks");
	});
});

describe("the manual page", () => {
	test("names every option and every command", () => {
		const commands = commandTable.filter((command) => command.removed === undefined);
		expect(optionTable.filter((spec) => !plain.includes(`--${spec.name}`)).map((spec) => spec.name)).toEqual([]);
		expect(commands.filter((command) => !plain.includes(`criu ${command.usage}`))).toEqual([]);
	});

	test("of crit names every verb, option and view", () => {
		const text = writeCritPage()
			.replace(/\\f[BIR]/g, "")
			.replaceAll("\\-", "-");
		for (const verb of Object.values(VERBS)) {
			expect(text).toContain(`.SH CRIT ${verb.name.toUpperCase()}`);
			for (const option of verb.options) expect(text).toContain(`--${option.name}`);
		}
		for (const view of Object.keys(VIEWS)) expect(text).toContain(`.TP\n${view}\n`);
	});

	test("has no line that roff would take for a request by mistake", () => {
		const requests = `${page}${writeCritPage()}`.split("\n").filter((line) => /^[.']/.test(line));
		expect(requests.filter((line) => !/^\.(?:\\"|TH|SH|TP|PP|br)/.test(line))).toEqual([]);
	});
});
