// SPDX-License-Identifier: GPL-2.0-only
// Where damaged images are restored in earnest: pid and mount namespaces of their own for each run, in which only one folder
// can be written to. What is alive when criu has ended is counted, then all of it is killed with the namespace.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** $1: the folder that stays writable. Holds the mount namespace for as long as its standard input is open. */
const KEEP = `
mount --bind "$1" "$1" || exit 1
awk '{print $5}' /proc/self/mountinfo | sort -r | while read -r at; do
	case $at in "$1" | /proc | /proc/* | /dev | /dev/*) ;; *) mount -o remount,bind,ro "$at" ;; esac
done
if touch /tmp/criu-cage 2>/dev/null; then rm /tmp/criu-cage; echo not caged; exit 1; fi
echo caged
read -r end`;

/**
 * $1: file for what criu says, $2 its seconds, then its words. Gives its exit code and the pids that live on: where there
 * should be none, once the kernel had the time to end what was killed.
 */
const RUN = `
log=$1
seconds=$2
shift 2
echo 1000 >/proc/self/oom_score_adj
timeout -s KILL "$seconds" "$@" </dev/null >"$log" 2>&1
code=$?
n=0
while :; do
	alive=
	for task in /proc/[0-9]*; do
		pid=\${task#/proc/}
		[ "$pid" = 1 ] && continue
		read -r line <"$task/stat" || continue
		case \${line##*) } in [ZX]*) ;; *) alive="$alive $pid" ;; esac
	done
	n=$((n + 1))
	[ -z "$alive" ] || [ "$code" = 0 ] || [ $n -gt 300 ] && break
	sleep 0.01
done 2>/dev/null
echo "$code$alive"`;

/** What a run came to. */
export interface Outcome {
	/** 137 for one that took too long. */
	code: number;
	/** Pids in its namespace. */
	alive: number[];
	output: string;
	ms: number;
}

/** Keeps the mount namespace of all runs. Close it. */
export class Cage {
	private constructor(
		private readonly keeper: Bun.Subprocess<"pipe", "pipe", "inherit">,
		private readonly dir: string,
	) {}

	/** `dir` is what runs may write to. */
	static async open(dir: string): Promise<Cage> {
		const argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", KEEP, "sh", dir];
		const keeper = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
		const { value } = await keeper.stdout.getReader().read();
		if (new TextDecoder().decode(value) !== "caged\n") throw new Error("cannot make file systems read-only");
		return new Cage(keeper, dir);
	}

	/** Runs a program with a limit of seconds. */
	run(seconds: number, argv: readonly string[]): Outcome {
		const log = join(this.dir, "log");
		writeFileSync(log, "");
		const enter = ["nsenter", `--mount=/proc/${this.keeper.pid}/ns/mnt`];
		const words = [...enter, "unshare", "-fpm", "--mount-proc", "--kill-child", "sh", "-c", RUN, "sh", log];
		const start = performance.now();
		const run = Bun.spawnSync([...words, String(seconds), ...argv], {
			stdin: "ignore",
			cwd: this.dir,
			timeout: 60_000,
		});
		const [code = Number.NaN, ...alive] = run.stdout.toString().trim().split(" ").map(Number);
		if (run.exitCode !== 0 || Number.isNaN(code))
			throw new Error(`the cage broke: exit code ${run.exitCode}, ${run.stderr}${readFileSync(log, "latin1")}`);
		return { code, alive, output: readFileSync(log, "utf8"), ms: performance.now() - start };
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.keeper.stdin.end();
		await this.keeper.exited;
	}
}
