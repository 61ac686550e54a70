// SPDX-License-Identifier: GPL-2.0-only
// The harness's end of stage.c: a pid namespace in which one command runs at a time and is timed.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

/** Something on the stage went wrong: a command failed, took too long, or the stage itself ended. */
export class StageError extends Error {}

/** What a timed command cost. */
export interface Cost {
	/** From before the fork to after the wait. */
	readonly wallUs: number;
	/** ru_maxrss of the command (and of children that it waited for). */
	readonly maxRssKib: number;
	readonly userUs: number;
	readonly systemUs: number;
}

const COMMAND_TIMEOUT_MS = 120_000;

/** Text of a wait status, see wait(2). */
export function showWaitStatus(status: number): string {
	const signal = status & 0x7f;
	return signal === 0 ? `exit code ${(status >> 8) & 0xff}` : `signal ${signal}`;
}

/** One running stage. Pids given and taken are those inside of its namespace. */
export class Stage {
	private readonly lines: string[] = [];
	private waiting: ((line: string | undefined) => void) | undefined;
	private ended = false;
	private innerPid = 0;

	private constructor(
		private readonly child: Bun.Subprocess<"pipe", "pipe", "pipe">,
		/** The private tmpfs, by its path inside. */
		readonly tmpfs: string,
	) {}

	/** Starts a stage, with a tmpfs at `folder`, which is made. @throws StageError */
	static async open(program: string, folder: string): Promise<Stage> {
		mkdirSync(folder, { recursive: true });
		const child = Bun.spawn([program, folder], { env: process.env, stdin: "pipe", stdout: "pipe", stderr: "pipe" });
		const stage = new Stage(child, folder);
		void stage.listen();
		try {
			stage.innerPid = Number((await stage.answer("stage"))[0]);
			await stage.answer("staged");
		} catch (error) {
			await stage.close();
			throw error;
		}
		return stage;
	}

	/** The path by which this process reaches a file of the stage. */
	outerPath(path: string): string {
		return join(`/proc/${this.innerPid}/root`, path);
	}

	private async listen(): Promise<void> {
		let rest = "";
		const decoder = new TextDecoder();
		for await (const chunk of this.child.stdout) {
			const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
			rest = lines.pop() ?? "";
			this.lines.push(...lines);
			this.hand();
		}
		this.ended = true;
		this.hand();
	}

	private hand(): void {
		if (this.waiting === undefined || (this.lines.length === 0 && !this.ended)) return;
		const waiting = this.waiting;
		this.waiting = undefined;
		waiting(this.lines.shift());
	}

	/** The next answer's fields; its word must be the one that's awaited. */
	private async answer(word: string): Promise<string[]> {
		let timer: ReturnType<typeof setTimeout> | undefined;
		const late = new Promise<"late">((done) => {
			timer = setTimeout(() => done("late"), COMMAND_TIMEOUT_MS);
		});
		const next = new Promise<string | undefined>((done) => {
			this.waiting = done;
			this.hand();
		});
		const line = await Promise.race([next, late]);
		clearTimeout(timer);
		if (line === "late") {
			this.child.kill("SIGKILL");
			throw new StageError(`no answer after ${COMMAND_TIMEOUT_MS / 1000} s, stage killed`);
		}
		if (line === undefined) throw new StageError(`the stage ended: ${(await this.complaints()).trim()}`);
		const [got, ...fields] = line.split(" ");
		if (got !== word) throw new StageError(`${line}, where ${word} was awaited`);
		return fields;
	}

	private async complaints(): Promise<string> {
		return new Response(this.child.stderr).text();
	}

	private async ask(word: string, ...fields: readonly (string | number)[]): Promise<string[]> {
		const text = fields.map(String);
		if (text.some((field) => /[\t\n]/.test(field))) throw new StageError("a field holds a tab or a newline");
		this.child.stdin.write(`${text.join("\t")}\n`);
		await this.child.stdin.flush();
		return this.answer(word);
	}

	/** Starts a target and waits until it's ready; its pid. @throws StageError */
	async start(cwd: string, argv: readonly string[]): Promise<number> {
		return Number((await this.ask("ready", "start", cwd, ...argv))[0]);
	}

	/** Runs a command to its end, what it prints appended to `log`, and tells how it ended and what it cost. */
	async run(log: string, argv: readonly string[]): Promise<{ status: number; cost: Cost }> {
		const fields = (await this.ask("ran", "run", log, ...argv)).map(Number);
		const [status = -1, wallNs = 0, maxRssKib = 0, userUs = 0, systemUs = 0] = fields;
		return { status, cost: { wallUs: wallNs / 1000, maxRssKib, userUs, systemUs } };
	}

	/** Waits for a process's end and makes its pid free again; gives the wait status. */
	async reap(pid: number): Promise<number> {
		return Number((await this.ask("ended", "reap", pid))[0]);
	}

	/** Tells a target to look at itself, which ends it; gives the wait status, 0 when all is well. */
	async verify(pid: number): Promise<number> {
		return Number((await this.ask("ended", "verify", pid))[0]);
	}

	/** Empties a folder on the stage, or makes it. */
	async empty(folder: string): Promise<void> {
		await this.ask("emptied", "empty", folder);
	}

	/** Ends the namespace with all that's in it. */
	async close(): Promise<void> {
		await this.child.stdin.end();
		const timer = setTimeout(() => this.child.kill("SIGKILL"), 5_000);
		await this.child.exited;
		clearTimeout(timer);
	}
}
