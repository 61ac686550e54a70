// SPDX-License-Identifier: GPL-2.0-only
// A real program for tests of the whole executable: counts into a file, in a session of its own. And criu itself.

import { expect } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const CRIU = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");
export const isRoot = process.getuid?.() === 0;

const PROGRAM = `
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
n = 0
while True:
    n += 1
    os.pwrite(fd, b"%012d" % n, 0)
    time.sleep(0.005)
`;

export interface Run {
	code: number;
	out: string;
	err: string;
}

export function criu(...args: string[]): Run {
	const run = Bun.spawnSync([CRIU, ...args], { stdin: "ignore", timeout: 60_000 });
	return { code: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() };
}

/** Exit code 1 and one clear error with a remedy, nothing of how criu is made. */
export function expectRefusal(run: Run, text: string | RegExp): void {
	if (typeof text === "string") expect(run.err).toContain(text);
	else expect(run.err).toMatch(text);
	expect(run.code).toBe(1);
	expect(run.err).toMatch(/^error: .+; remedy: .+ \[[A-Z0-9_]+\]\n$/);
	expect(run.err).not.toMatch(/at async|^ {4}at |unexpected failure|bug in criu/m);
}

/** A counting program with a folder of its own for images. */
export class Counter {
	readonly dir = mkdtempSync(join(tmpdir(), "criu-counter-"));
	readonly file = join(this.dir, "count");
	readonly pid: number;
	private readonly child;

	constructor() {
		this.child = Bun.spawn(["setsid", "python3", "-c", PROGRAM, this.file], { stdio: ["ignore", "ignore", "ignore"] });
		this.pid = this.child.pid;
	}

	read(): number {
		try {
			return Number(readFileSync(this.file, "latin1"));
		} catch {
			return 0;
		}
	}

	/** Waits until it has counted beyond a number. */
	async counts(beyond = this.read()): Promise<number> {
		const deadline = Date.now() + 20_000;
		while (this.read() <= beyond) {
			if (Date.now() > deadline) throw new Error(`the program doesn't count beyond ${beyond}`);
			await Bun.sleep(5);
		}
		return this.read();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.child.kill("SIGKILL");
		await this.child.exited;
		rmSync(this.dir, { recursive: true, force: true });
	}
}

/** Ends a restored process that isn't ours, and waits until it's gone or only a zombie. */
export async function end(pid: number): Promise<void> {
	try {
		process.kill(pid, "SIGKILL");
	} catch {
		return;
	}
	for (let round = 0; round < 2000; round++) {
		try {
			if (/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))) return;
		} catch {
			return;
		}
		await Bun.sleep(5);
	}
}
