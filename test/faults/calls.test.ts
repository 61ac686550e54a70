// SPDX-License-Identifier: GPL-2.0-only
// Any system call of criu may fail: strace lets one after the other give EIO. Each time a dump either does without or tells what
// it was about and what helps, and the program stays as it is; a restore leaves nothing. A choice of the calls unless CRIU_FAULTS=all.

import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { buildScenario, buildStage, listScenarios } from "../matrix/scenario.ts";
import { stateOf } from "../matrix/snapshot.ts";
import { type Ending, Stage } from "../matrix/stage.ts";
import { criu } from "./victim.ts";

const STRACE = "/usr/bin/strace";
const thorough = process.env["CRIU_FAULTS"] === "all";
/** How many calls are tried of a dump, and of a restore. */
const CHOICE = 25;
/** Calls of the runtime's own, and such as can't fail. lseek(2), ptrace(2) and waitid(2) of a stopped task can't either: without the last two nobody could set it right. */
const NOT_OURS =
	/^(futex|sched_\w+|madvise|close|close_range|munmap|mmap|mprotect|rt_sig\w+|gettid|getpid|set_\w+|restart_syscall|\w*nanosleep|rseq|exit\w*|clock_gettime|uname|prctl|getrandom|clone3|kill|ptrace|waitid|lseek|brk)$/;
/** A thing by the name that users know it by; what criu looks at by descriptors of its own has only their numbers. */
const OBJECT =
	/\bpids? \d|\btask \d|\bfd \d|\bdescriptor|\bterminal \d|RLIMIT_|PAGEMAP_SCAN|\/[\w.]|\.img\b|\bimages?\b|\bmemfd\b|\bpipe|\bsocket|\bmapping|\bqueue|\bdevice|\bshared memory|\bdirector|\bcriu's|"criu-/;
const SIGTERM = 15;

/** A call, by its number among those of that name. */
interface Call {
	readonly name: string;
	readonly nth: number;
}

/** One stage with the program that has every kind of file. */
class Play implements AsyncDisposable {
	private constructor(
		readonly stage: Stage,
		readonly dir: string,
		readonly pid: number,
		readonly out: string,
	) {}

	static async open(): Promise<Play> {
		const scenario = listScenarios().find(({ name }) => name === "fd_everything");
		if (scenario === undefined) throw new Error("no scenario fd_everything");
		const [program, stageProgram] = await Promise.all([buildScenario(scenario), buildStage()]);
		const dir = mkdtempSync(join(tmpdir(), "calls-"));
		chmodSync(dir, 0o755);
		mkdirSync(join(dir, "work"));
		const stage = await Stage.open({ program: stageProgram, log: join(dir, "stage.log") });
		const out = join(dir, "out");
		const pid = await stage.start(out, join(dir, "work"), [program, out]);
		await stage.ready(pid);
		const play = new Play(stage, dir, pid, out);
		await play.asleep();
		return play;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.stage.close();
		rmSync(this.dir, { recursive: true, force: true });
	}

	async asleep(): Promise<void> {
		while (stateOf(this.stage.procPath(this.pid)) !== "S") await Bun.sleep(1);
	}

	/** Runs criu under strace; the lines of its trace. */
	async trace(
		options: readonly string[],
		words: readonly string[],
	): Promise<{ ending: Ending; output: string; lines: string[] }> {
		const [trace, output] = ["trace", "run"].map((name) => join(this.dir, name)) as [string, string];
		for (const path of [trace, output]) rmSync(path, { force: true });
		const program = [STRACE, "-qqq", "-o", trace, ...options, criu, ...words];
		const ending = await this.stage.run(output, this.dir, program);
		const read = (path: string) => (existsSync(path) ? readFileSync(path, "latin1") : "");
		return { ending, output: read(output), lines: read(trace).split("\n") };
	}

	/** What a failed dump may not change. */
	look(): string {
		const path = this.stage.procPath(this.pid);
		const status = readFileSync(`${path}/status`, "latin1");
		const fds = readdirSync(`${path}/fd`).map((fd) => `${fd}: ${readFileSync(`${path}/fdinfo/${fd}`, "latin1")}`);
		const own = fds.map((text) => text.replace(/^it_value:.*$/m, ""));
		return [...(status.match(/^(TracerPid|Threads|Sig(Blk|Ign|Cgt|Pnd)|ShdPnd):.*$/gm) ?? []), ...own]
			.concat(readFileSync(`${path}/maps`, "latin1"))
			.join("\n");
	}

	/** Pids in the stage but its own. */
	pids(): string[] {
		const proc = `/proc/${this.stage.outerPid}/root/proc`;
		return readdirSync(proc).filter((name) => /^\d+$/.test(name) && name !== "1");
	}
}

/** The calls of a run once its log was opened: what goes before is the runtime's. */
function callsIn(lines: readonly string[]): Call[] {
	const counts = new Map<string, number>();
	const calls: Call[] = [];
	const begin = lines.findIndex((line) => /\bopenat?\(.*"run\.log"/.test(line));
	const main = /^\d+ /.exec(lines[0] ?? "")?.[0] ?? "";
	for (const [i, line] of lines.entries()) {
		const name = line.startsWith(main) ? /^(?:\d+ +)?(\w+)\(/.exec(line)?.[1] : undefined;
		if (name === undefined) continue;
		const nth = (counts.get(name) ?? 0) + 1;
		counts.set(name, nth);
		if (i > begin && !NOT_OURS.test(name)) calls.push({ name, nth });
	}
	if (thorough) return calls;
	return Array.from({ length: CHOICE }, (_, i) => calls[Math.floor(((i + 0.5) * calls.length) / CHOICE)]).flatMap(
		(call) => call ?? [],
	);
}

const injection = ({ name, nth }: Call) => ["-e", `trace=${name}`, "-e", `inject=${name}:error=EIO:when=${nth}`];

function expectGoodEnding(call: Call, ending: Ending, output: string): void {
	const where = `${call.name} ${call.nth}`;
	expect({ where, how: ending.how, output }).toEqual({ where, how: "exit", output });
	if (ending.code === 0) return;
	const [line = ""] = output.split("\n");
	expect(`${where}: ${line}`).toMatch(/: error: .+; remedy: .+ \[[A-Z0-9_]+\]$/);
	expect(`${where}: ${line}`).not.toMatch(/\[BUG\]$/);
	expect(line.split("; remedy: ")[0]).toMatch(OBJECT);
	expect(`${where}: ${output}`).not.toContain("cleaning up failed");
}

describeAsRoot("any call of criu may fail", () => {
	test(
		"in a dump: it is told, and the program goes on",
		async () => {
			await using play = await Play.open();
			const before = play.look();
			const dump = (options: readonly string[]) => {
				const images = mkdtempSync(join(play.dir, "images-"));
				return play.trace(["-f", ...options], ["dump", "-R", "-t", String(play.pid), "-D", images, "-o", "run.log"]);
			};
			const whole = await dump([]);
			expect(whole).toMatchObject({ ending: { how: "exit", code: 0 }, output: "" });
			for (const call of callsIn(whole.lines)) {
				const { ending, output } = await dump(injection(call));
				expectGoodEnding(call, ending, output);
				await play.asleep();
				expect(`${call.name} ${call.nth}\n${play.look()}`).toBe(`${call.name} ${call.nth}\n${before}`);
			}
			await play.stage.kill(play.pid, SIGTERM);
			await play.stage.died(play.pid);
			expect(readFileSync(play.out, "latin1")).toContain("PASS\n");
		},
		thorough ? 3_600_000 : 300_000,
	);

	test(
		"in a restore: it is told, and nothing is left",
		async () => {
			await using play = await Play.open();
			const images = join(play.dir, "images");
			mkdirSync(images);
			const dumped = await play.stage.run(join(play.dir, "run"), play.dir, [
				...[criu, "dump", "-t", String(play.pid), "-D", images],
			]);
			expect(dumped).toEqual({ how: "exit", code: 0 });
			await play.stage.died(play.pid);
			const restore = (options: readonly string[]) =>
				play.trace(options, ["restore", "-d", "-D", images, "-o", "run.log"]);
			const endTree = async () => {
				await play.stage.kill(play.pid, 9);
				await play.stage.died(play.pid);
			};
			const whole = await restore([]);
			expect(whole).toMatchObject({ ending: { how: "exit", code: 0 }, output: "" });
			await endTree();
			for (const call of callsIn(whole.lines)) {
				const { ending, output } = await restore(injection(call));
				expectGoodEnding(call, ending, output);
				if (ending.code === 0) await endTree();
				for (const end = performance.now() + 60_000; play.pids().length > 0; await Bun.sleep(1))
					if (performance.now() > end) throw new Error(`${call.name} ${call.nth}: pids ${play.pids()} are left`);
			}
			expect(await restore([])).toMatchObject({ ending: { how: "exit", code: 0 }, output: "" });
			await play.stage.kill(play.pid, SIGTERM);
			await play.stage.died(play.pid);
			expect(readFileSync(play.out, "latin1")).toContain("PASS\n");
		},
		thorough ? 3_600_000 : 300_000,
	);
});
