// SPDX-License-Identifier: GPL-2.0-only
// Runs the tests and ends with one line that scripts can read: `N passed, N failed[, N skipped]`.
// `bun scripts/test.ts [PATTERN...]`; arguments go to `bun test`. Exit code 0 only when tests ran and none failed.

import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
/** A whole run takes less than half of this on two quiet cores. */
const DEADLINE_MS = 80 * 60 * 1000;
const ESCAPE_SEQUENCE = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");

interface Totals {
	pass: number;
	fail: number;
	skip: number;
	/** Titles of skipped tests; those that need something say what in their title. */
	skipped: string[];
	/** What was printed since the last verdict. */
	recent: string[];
	/** Failed tests with what they printed. */
	failures: string[];
}

/** Lines of a failed test that are repeated at the end: a log of thousands of lines is often cut to its end. */
const FAILURE_LINES = 60;

/** Takes from one line of bun's report what counts: a skipped test's title, or a number of the closing summary. */
function countLine(line: string, totals: Totals): void {
	const text = line.replace(ESCAPE_SEQUENCE, "");
	const skipped = /^\((?:skip|todo)\) (.*)$/.exec(text);
	if (skipped?.[1] !== undefined) totals.skipped.push(skipped[1]);
	if (text.startsWith("(fail) ")) totals.failures.push([...totals.recent.slice(-FAILURE_LINES), text].join("\n"));
	totals.recent = /^\((pass|fail|skip|todo)\) /.test(text) ? [] : [...totals.recent.slice(-FAILURE_LINES), text];
	const summary = /^ *(\d+) (pass|fail|skip|todo)$/.exec(text);
	const count = Number(summary?.[1]);
	if (summary?.[2] === "pass") totals.pass = count;
	if (summary?.[2] === "fail") totals.fail = count;
	if (summary?.[2] === "skip" || summary?.[2] === "todo") totals.skip += count;
}

async function forwardLines(from: ReadableStream<Uint8Array>, to: NodeJS.WriteStream, totals: Totals): Promise<void> {
	const decoder = new TextDecoder();
	let rest = "";
	for await (const chunk of from) {
		to.write(chunk);
		const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
		rest = lines.pop() ?? "";
		for (const line of lines) countLine(line, totals);
	}
	countLine(rest, totals);
}

/** The tests' environment: without the variables that make bun hide passed tests when a program reads along. */
function testEnvironment(): Record<string, string | undefined> {
	const env: Record<string, string | undefined> = { ...process.env };
	for (const name of ["AGENT", "CLAUDECODE", "REPL_ID", "BUN_OPTIONS", "NODE_OPTIONS"]) delete env[name];
	return env;
}

const totals: Totals = { pass: 0, fail: 0, skip: 0, skipped: [], recent: [], failures: [] };
const child = Bun.spawn([process.execPath, "test", "--timeout=60000", ...Bun.argv.slice(2)], {
	cwd: ROOT,
	env: testEnvironment(),
	stdin: "ignore",
	stdout: "pipe",
	stderr: "pipe",
});
const deadline = setTimeout(() => {
	console.error(`tests: not done after ${DEADLINE_MS / 60000} minutes, giving up`);
	child.kill("SIGKILL");
}, DEADLINE_MS);
const reports = Promise.all([
	forwardLines(child.stdout, process.stdout, totals),
	forwardLines(child.stderr, process.stderr, totals),
]);
const exitCode = await child.exited;
clearTimeout(deadline);
// A process that a broken test left behind may hold the pipes open for ever.
await Promise.race([reports, Bun.sleep(2000)]);

if (totals.failures.length > 0) console.log(`\nfailed:\n${totals.failures.join("\n")}`);
if (totals.skipped.length > 0) console.log(`\nskipped:\n${totals.skipped.map((title) => `  ${title}`).join("\n")}`);
const failed = Math.max(totals.fail, exitCode === 0 ? 0 : 1);
const ok = exitCode === 0 && failed === 0 && totals.pass > 0;
if (totals.pass === 0) console.error("tests: none passed");
console.log(`${totals.pass} passed, ${failed} failed${totals.skip > 0 ? `, ${totals.skip} skipped` : ""}`);
process.exit(ok ? 0 : 1);
