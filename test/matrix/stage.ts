// SPDX-License-Identifier: GPL-2.0-only
// The harness's end of stage.c: one private pid namespace per run, in which targets and criu are started and watched.

import { closeSync, openSync } from "node:fs";

/** How a process ended: `exit` with a status or `signal` with a number. */
export interface Ending {
	how: "exit" | "signal";
	code: number;
}

export interface StageOptions {
	/** The compiled stage.c. */
	program: string;
	/** A criu.kdat to place in the private /run. */
	kdat?: string;
	/** Give targets and criu a pty of their own as controlling terminal. */
	tty?: boolean;
	/** Where the stage's own complaints go. */
	log: string;
}

type Waiter = { match: (line: string[]) => boolean; done: (line: string[]) => void; fail: (e: Error) => void };

/** A wait on an event of the stage that took too long, or the stage's own death. */
export class StageError extends Error {}

/** One running stage. All pids are those inside of its namespace. */
export class Stage {
	private readonly events: string[][] = [];
	private readonly waiters = new Set<Waiter>();
	private jobs = 0;
	private ended = false;
	private constructor(
		private readonly child: Bun.Subprocess<"pipe", "pipe", number>,
		private readonly logFd: number,
	) {}

	/** Starts a stage and waits until it answers. */
	static async open(options: StageOptions): Promise<Stage> {
		const logFd = openSync(options.log, "a");
		const args = [options.program];
		if (options.kdat !== undefined) args.push("--kdat", options.kdat);
		if (options.tty) args.push("--tty");
		const child = Bun.spawn(args, { env: process.env, stdin: "pipe", stdout: "pipe", stderr: logFd });
		const stage = new Stage(child, logFd);
		void stage.listen();
		const hello = await stage.next((line) => line[0] === "stage", "the stage's start", 60_000);
		stage.outerPid = Number(hello[1]);
		return stage;
	}

	/** Pid of the stage's pid 1 as this process sees it. */
	outerPid = 0;

	/** Path by which this process reads `/proc/PID` of a process inside. */
	procPath(pid: number): string {
		return `/proc/${this.outerPid}/root/proc/${pid}`;
	}

	private async listen(): Promise<void> {
		let rest = "";
		const decoder = new TextDecoder();
		for await (const chunk of this.child.stdout) {
			const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
			rest = lines.pop() ?? "";
			for (const line of lines) this.accept(line.split(" "));
		}
		this.ended = true;
		for (const waiter of this.waiters) waiter.fail(new StageError("the stage ended"));
		this.waiters.clear();
	}

	private accept(line: string[]): void {
		for (const waiter of this.waiters) {
			if (!waiter.match(line)) continue;
			this.waiters.delete(waiter);
			waiter.done(line);
			return;
		}
		this.events.push(line);
	}

	private next(match: (line: string[]) => boolean, what: string, timeoutMs: number): Promise<string[]> {
		const at = this.events.findIndex(match);
		if (at >= 0) return Promise.resolve(this.events.splice(at, 1)[0] as string[]);
		if (this.ended) return Promise.reject(new StageError(`the stage ended before ${what}`));
		return new Promise((done, fail) => {
			const waiter: Waiter = { match, done, fail };
			this.waiters.add(waiter);
			const timer = setTimeout(() => {
				if (this.waiters.delete(waiter)) fail(new StageError(`no sign of ${what} after ${timeoutMs} ms`));
			}, timeoutMs);
			waiter.done = (line) => {
				clearTimeout(timer);
				done(line);
			};
			waiter.fail = (error) => {
				clearTimeout(timer);
				fail(error);
			};
		});
	}

	private say(...fields: (string | number)[]): void {
		const text = fields.map(String);
		if (text.some((field) => /[\t\n]/.test(field)))
			throw new StageError(`field with a tab or newline: ${text.join(" ")}`);
		this.child.stdin.write(`${text.join("\t")}\n`);
		void this.child.stdin.flush();
	}

	/** Starts a target with its stdio on /dev/null (or the pty), leader of its own session; gives its pid. */
	async start(out: string, cwd: string, argv: readonly string[]): Promise<number> {
		this.say("start", out, cwd, ...argv);
		const line = await this.next((l) => l[0] === "started", "the target's pid", 60_000);
		return Number(line[1]);
	}

	/** Resolves when the target's output ends in READY; throws when it dies before. */
	async ready(pid: number, timeoutMs = 120_000): Promise<Ending | undefined> {
		const match = (l: string[]) => l[0] === "ready" || (l[0] === "died" && l[1] === String(pid));
		const line = await this.next(match, `READY from pid ${pid}`, timeoutMs);
		if (line[0] === "ready") return undefined;
		return endingOf(line);
	}

	/** Runs a program to its end, stdout and stderr appended to `log`. */
	async run(log: string, cwd: string, argv: readonly string[], timeoutMs = 240_000): Promise<Ending> {
		const tag = `job${this.jobs++}`;
		this.say("run", tag, log, cwd, ...argv);
		return endingOf(await this.next((l) => l[0] === "done" && l[1] === tag, `the end of ${argv.join(" ")}`, timeoutMs));
	}

	/** Resolves when the process has died and has been reaped, so that its pid is free again. */
	async died(pid: number, timeoutMs = 120_000): Promise<Ending> {
		const line = await this.next((l) => l[0] === "died" && l[1] === String(pid), `the end of pid ${pid}`, timeoutMs);
		return endingOf(line);
	}

	/** Sends a signal; gives the errno, 0 for none. */
	async kill(pid: number, signal: number): Promise<number> {
		this.say("kill", pid, signal);
		return Number((await this.next((l) => l[0] === "killed", "the kill", 60_000))[1]);
	}

	/** Ends the namespace with all that's in it. */
	async close(): Promise<void> {
		await this.child.stdin.end();
		const timer = setTimeout(() => this.child.kill("SIGKILL"), 5_000);
		await this.child.exited;
		clearTimeout(timer);
		closeSync(this.logFd);
	}
}

function endingOf(line: string[]): Ending {
	return { how: line[2] === "signal" ? "signal" : "exit", code: Number(line[3]) };
}

/** Text of an ending for messages. */
export function showEnding(ending: Ending): string {
	return ending.how === "exit" ? `exit code ${ending.code}` : `signal ${ending.code}`;
}
