// SPDX-License-Identifier: GPL-2.0-only
// `npm run demo`: a shell loop counts, is dumped, is gone, is restored and counts on where it stopped, same pid.
// Leaves nothing behind; on failure it shows what criu said and where the logs are.

import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** CRIU_BIN chooses another one, as in the tests. */
const CRIU = process.env["CRIU_BIN"] ?? join(import.meta.dir, "..", "dist", "criu");
const PATIENCE_MS = 20_000;
const POLL_MS = 20;

/** One process, no helpers: the inner loop only takes time, so that a line comes several times a second. */
const COUNTER = `i=0
while :; do
	i=$((i + 1))
	echo "$i"
	j=0; while [ $j -lt 150000 ]; do j=$((j + 1)); done
done
`;

class DemoError extends Error {}

function say(text = ""): void {
	console.log(text === "" ? "" : `# ${text}`);
}

function isAlive(pid: number): boolean {
	const path = `/proc/${pid}/stat`;
	try {
		const stat = readFileSync(path, "latin1");
		return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
	} catch {
		return false;
	}
}

async function waitUntil<T>(what: string, probe: () => T | undefined): Promise<T> {
	const deadline = performance.now() + PATIENCE_MS;
	for (;;) {
		const value = probe();
		if (value !== undefined) return value;
		if (performance.now() > deadline) throw new DemoError(`waited ${PATIENCE_MS / 1000} s in vain: ${what}`);
		await Bun.sleep(POLL_MS);
	}
}

/** Complete lines that the counter has written. */
function readCount(output: string): number[] {
	return readFileSync(output, "latin1").split("\n").slice(0, -1).map(Number);
}

async function waitForCount(output: string, atLeast: number, pid: number): Promise<number[]> {
	return await waitUntil(`line ${atLeast} of the counter`, () => {
		const lines = readCount(output);
		if (lines.length >= atLeast) return lines;
		if (!isAlive(pid)) throw new DemoError(`the counter, pid ${pid}, has died`);
		return undefined;
	});
}

function showTail(output: string): void {
	const tail = readCount(output).slice(-3).join(" ");
	console.log(`$ tail -n 3 count.txt | xargs\n${tail}`);
}

function runCriu(dir: string, ...args: string[]): void {
	console.log(`$ criu ${args.join(" ")}`);
	const start = performance.now();
	const result = spawnSync(CRIU, args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
	const took = Math.round(performance.now() - start);
	if (result.error) throw new DemoError(`cannot start ${CRIU}: ${result.error.message}`);
	process.stdout.write(result.stdout + result.stderr);
	if (result.status !== 0) {
		throw new DemoError(`criu ${args[0]} ended with ${result.signal ?? `exit code ${result.status}`}`);
	}
	say(`took ${took} ms`);
}

function startCounter(dir: string): Bun.Subprocess {
	writeFileSync(join(dir, "count.sh"), COUNTER);
	const output = openSync(join(dir, "count.txt"), "w");
	try {
		console.log("$ setsid sh count.sh </dev/null >count.txt 2>&1 &");
		return Bun.spawn(["sh", "count.sh"], { cwd: dir, detached: true, stdio: ["ignore", output, output] });
	} finally {
		closeSync(output);
	}
}

function checkSequence(lines: readonly number[]): void {
	const wrong = lines.findIndex((value, index) => value !== index + 1);
	if (wrong !== -1) throw new DemoError(`line ${wrong + 1} of the counter says ${lines[wrong]}`);
}

async function runDemo(dir: string, started: { pid?: number }): Promise<void> {
	const output = join(dir, "count.txt");
	mkdirSync(join(dir, "images"));

	say("A program that counts:");
	const child = startCounter(dir);
	const { pid } = child;
	started.pid = pid;
	await waitForCount(output, 5, pid);
	showTail(output);

	say();
	say(`Freeze it to disk: the process ${pid} ends, the folder images/ is what remains.`);
	runCriu(dir, "dump", "-t", String(pid), "-D", "images", "-o", "dump.log", "-v4");
	await child.exited;
	if (isAlive(pid)) throw new DemoError(`process ${pid} is still there after the dump`);
	const stoppedAt = readCount(output).length;
	console.log(`$ kill -0 ${pid}\nkill: no such process ${pid}`);
	showTail(output);

	say();
	say("Bring it back: same pid, same memory, same open file. It counts on.");
	runCriu(dir, "restore", "-d", "-D", "images", "-o", "restore.log", "-v4");
	const lines = await waitForCount(output, stoppedAt + 4, pid);
	checkSequence(lines);
	showTail(output);
	const command = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").join(" ").trim();
	console.log(`$ ps -o pid=,args= -p ${pid}\n${pid} ${command}`);

	say();
	say(`Stopped at ${stoppedAt}, went on to ${lines.length}, no number missing or twice.`);
}

/** Ends the counter, dumped or restored, and waits until it's gone; it may not be our child any more. */
async function endCounter(pid: number, dir: string): Promise<void> {
	if (!isAlive(pid)) return;
	const cwd = spawnSync("readlink", [`/proc/${pid}/cwd`], { encoding: "utf8" }).stdout.trim();
	if (cwd !== dir) return; // somebody else has this pid now
	process.kill(pid, "SIGKILL");
	await waitUntil("end of the counter", () => (isAlive(pid) ? undefined : true));
}

async function main(): Promise<number> {
	if (process.getuid?.() !== 0) {
		console.error("The demo needs root: it looks into another process. Try: sudo npm run demo");
		return 1;
	}
	const dir = mkdtempSync(join(tmpdir(), "criu-demo-"));
	const started: { pid?: number } = {};
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
		process.once(signal, () => {
			const end = started.pid === undefined ? Promise.resolve() : endCounter(started.pid, dir);
			void end.finally(() => {
				rmSync(dir, { recursive: true, force: true });
				process.exit(1);
			});
		});
	}
	let failure: unknown;
	try {
		await runDemo(dir, started);
	} catch (error) {
		failure = error;
	}
	if (started.pid !== undefined) await endCounter(started.pid, dir);
	if (failure === undefined) {
		rmSync(dir, { recursive: true });
		say("Ended it and cleaned up.");
		return 0;
	}
	if (!(failure instanceof DemoError)) throw failure;
	console.error(`\ndemo failed: ${failure.message}`);
	for (const log of ["dump.log", "restore.log"]) {
		const path = join(dir, "images", log);
		if (existsSync(path)) console.error(`log: ${path}`);
	}
	return 1;
}

process.exit(await main());
