// SPDX-License-Identifier: GPL-2.0-only
// Real programs that share files with others: watched files, locks, shared memory by name. They wait in the middle of their
// work, go through a dump and a restore of ours, and end it.

import { afterAll, expect, test } from "bun:test";
import {
	appendFileSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "./as-root.ts";
import { Stage, showEnding } from "./matrix/stage.ts";
import { closeMatrix, openHost } from "./matrix.ts";

const SIGUSR1 = 10;

interface Sharer {
	name: string;
	needs: string;
	/** Run in an empty folder; makes the file `ready` when it waits. */
	command: string[];
	files?: Record<string, string>;
	options?: string[];
	/** What happens while it doesn't run. */
	between?: (work: string) => void;
	/** Lets it end its work and checks that. */
	after: (at: { stage: Stage; pid: number; work: string }) => Promise<void>;
}

const WAIT = "import os, signal\ngo = []\nsignal.signal(signal.SIGUSR1, lambda *a: go.append(1))\n";
const PAUSE = "open('ready', 'w').close()\nwhile not go: signal.pause()\n";

const SHM = `${WAIT}
import multiprocessing, multiprocessing.shared_memory as m
s = m.SharedMemory(name="criu-shared-" + os.urandom(8).hex(), create=True, size=100000)
open("name", "w").write(s.name)
s.buf[0:5] = b"hello"; s.buf[99999] = 7
sem = multiprocessing.Semaphore(2)
sem.acquire()
pid = os.fork()
if pid == 0:
    while not go: signal.pause()
    s.buf[10] = 42
    os._exit(0)
${PAUSE}
os.kill(pid, signal.SIGUSR1); os.waitpid(pid, 0)
t = m.SharedMemory(name=s.name)
values = (bytes(t.buf[0:5]), t.buf[99999], t.buf[10], sem.acquire(False), sem.acquire(False))
t.close(); s.close(); s.unlink()
open("result", "w").write(repr(values))
`;

const WAL = `${WAIT}
import sqlite3
a = sqlite3.connect("base.db", isolation_level=None)
a.execute("pragma journal_mode=wal"); a.execute("create table t(x)"); a.execute("insert into t values (1)")
b = sqlite3.connect("base.db", isolation_level=None, timeout=0)
a.execute("begin immediate"); a.execute("insert into t values (2)")
b.execute("begin"); b.execute("select * from t").fetchall()
${PAUSE}
def refused(c, sql):
    try: c.execute(sql)
    except sqlite3.OperationalError as e: return str(e)
values = [b.execute("select count(*) from t").fetchone()[0], refused(sqlite3.connect("base.db", timeout=0), "begin immediate")]
a.execute("commit"); b.execute("commit")
values += [b.execute("select count(*) from t").fetchone()[0], b.execute("pragma integrity_check").fetchone()[0]]
open("result", "w").write(repr(values))
`;

async function endWith(stage: Stage, pid: number, work: string, result: string): Promise<void> {
	await stage.kill(pid, SIGUSR1);
	expect(await stage.died(pid, 30_000)).toEqual({ how: "exit", code: 0 });
	expect(readFileSync(join(work, "result"), "latin1")).toBe(result);
}

async function until(isSo: () => boolean, what: string): Promise<void> {
	for (const deadline = performance.now() + 20_000; performance.now() < deadline; ) {
		if (isSo()) return;
		await Bun.sleep(2); // files of other programs come without an event
	}
	throw new Error(`waited in vain: ${what}`);
}

const sharers: readonly Sharer[] = [
	{
		name: "python3 with shared memory and semaphores, whose files are gone when it comes back",
		needs: "/usr/bin/python3",
		command: ["/usr/bin/python3", "program.py"],
		files: { "program.py": SHM },
		between: (work) => rmSync(join("/dev/shm", readFileSync(join(work, "name"), "latin1"))),
		after: async ({ stage, pid, work }) => {
			const left = readdirSync("/dev/shm").filter((name) => name.startsWith(".criu."));
			expect(left).toEqual([]);
			await endWith(stage, pid, work, "(b'hello', 7, 42, True, False)");
		},
	},
	{
		name: "sqlite in two connections with a write-ahead log, in the middle of transactions",
		needs: "/usr/bin/python3",
		command: ["/usr/bin/python3", "program.py"],
		files: { "program.py": WAL },
		options: ["--file-locks"],
		after: ({ stage, pid, work }) => endWith(stage, pid, work, "[1, 'database is locked', 2, 'ok']"),
	},
	{
		name: "tail -f of a file that grows",
		needs: "tail",
		command: ["/bin/sh", "-c", "exec tail -f grows > result 2>/dev/null"],
		files: { grows: "first\n", ready: "" },
		after: async ({ stage, pid, work }) => {
			appendFileSync(join(work, "grows"), "second\n");
			await until(() => readFileSync(join(work, "result"), "latin1") === "first\nsecond\n", "the second line");
			await stage.kill(pid, 9);
			await stage.died(pid);
		},
	},
	{
		name: "flock around another program",
		needs: "flock",
		command: ["/bin/sh", "-c", "exec flock lock sh held.sh"],
		files: { "held.sh": ": > ready; while :; do sleep 1000; done", "try.sh": "flock -n lock true; echo $? > result" },
		options: ["--file-locks"],
		after: async ({ stage, pid, work }) => {
			await stage.run(join(work, "try.log"), work, ["sh", "try.sh"]);
			expect(readFileSync(join(work, "result"), "latin1")).toBe("1\n");
			await stage.kill(pid, 9);
			await stage.died(pid);
		},
	},
];

async function runCriu(stage: Stage, dir: string, args: string[]): Promise<void> {
	const log = join(dir, "criu.out");
	const ending = await stage.run(log, dir, args, 60_000);
	if (ending.how === "exit" && ending.code === 0) return;
	throw new Error(`${args.join(" ")}: ${showEnding(ending)}\n${readFileSync(log, "latin1").slice(-2000)}`);
}

async function goThrough(sharer: Sharer, dir: string): Promise<void> {
	const host = await openHost();
	const work = join(dir, "work");
	mkdirSync(work);
	for (const [name, text] of Object.entries(sharer.files ?? {})) writeFileSync(join(work, name), text);
	const stage = await Stage.open({ program: host.stage, kdat: host.kdat, log: join(dir, "stage.log") });
	try {
		const pid = await stage.start(join(dir, "out"), work, sharer.command);
		await until(() => existsSync(join(work, "ready")), "the program's set-up");
		// Links to watched and locked files are there when it sleeps.
		await until(() => /\) [STt] /.test(readFileSync(`${stage.procPath(pid)}/stat`, "latin1")), "its sleep");
		if (sharer.name.startsWith("tail"))
			await until(() => readdirSync(`${stage.procPath(pid)}/fd`).length > 4, "the watch of tail");
		for (const round of [1, 2]) {
			const images = join(dir, `images${round}`);
			mkdirSync(images);
			const options = ["-D", images, "-v4", ...(sharer.options ?? [])];
			await runCriu(stage, dir, [host.criu.ours ?? "", "dump", "-t", `${pid}`, "-o", "dump.log", ...options]);
			expect(await stage.died(pid)).toEqual({ how: "signal", code: 9 });
			sharer.between?.(work);
			await runCriu(stage, dir, [host.criu.ours ?? "", "restore", "-d", "-o", "restore.log", ...options]);
		}
		await sharer.after({ stage, pid, work });
	} finally {
		await stage.close();
	}
}

afterAll(closeMatrix, 30_000);

describeAsRoot("a program that shares files", () => {
	for (const sharer of sharers) {
		const lack = Bun.which(sharer.needs) === null ? ` (skipped: no ${sharer.needs})` : "";
		test.skipIf(lack !== "")(
			sharer.name + lack,
			async () => {
				const dir = mkdtempSync(join(tmpdir(), "criu-sharer-"));
				await goThrough(sharer, dir).catch((error: unknown) => {
					throw new Error(`${error instanceof Error ? error.message : error}\nkept: ${dir}`);
				});
				rmSync(dir, { recursive: true, force: true });
			},
			120_000,
		);
	}
});
