// SPDX-License-Identifier: GPL-2.0-only
// Real programs that compute a result: interrupted half way by two checkpoints, they still come to the same result.

import { afterAll, describe, expect, test } from "bun:test";
import {
	chmodSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Stage, showEnding } from "./matrix/stage.ts";
import { closeMatrix, limitJobs, openHost, type Side } from "./matrix.ts";
import type { RealProgram } from "./real-programs/program.ts";
import { trees } from "./real-programs/trees.ts";

const numbers = Array.from({ length: 400_000 }, (_, i) => String((i * 7919) % 10_007)).join("\n");

const programs: readonly RealProgram[] = [
	{
		name: "a shell loop that appends to a file",
		needs: "sh",
		command: "sh loop.sh",
		files: { "loop.sh": "i=0\nwhile [ $i -lt 150000 ]; do i=$((i+1)); echo $i >> result; done\n" },
	},
	{
		name: "a bash loop with arrays and a file kept open",
		needs: "bash",
		command: "bash loop.sh",
		files: {
			"loop.sh":
				"exec 5>result\nfor ((i = 0; i < 120000; i++)); do a[i % 100]=$((i * i)); echo $((a[i % 100])) >&5; done\n",
		},
	},
	{
		name: "python3 computing",
		needs: "/usr/bin/python3",
		command: "/usr/bin/python3 compute.py",
		files: {
			"compute.py":
				"import hashlib\nd = {}\nx = 1\nfor i in range(8000000):\n    x = (x * 1103515245 + 12345) % 2**31\n    d[x % 5000] = d.get(x % 5000, 0) + i\nopen('result', 'w').write(hashlib.sha256(repr(sorted(d.items())).encode()).hexdigest())\n",
		},
	},
	{
		name: "awk between two files",
		needs: "awk",
		command:
			"awk '{ n[$1 % 1000] += $1 * NR; for (i = 0; i < 12; i++) s = (s * 31 + $1 + i) % 1000003 } END { for (i = 0; i < 1000; i++) print n[i]; print s }' < numbers > result",
		files: { numbers },
	},
	{
		name: "bc between two files",
		needs: "bc",
		command: "bc -lq < pi.bc > result",
		files: { "pi.bc": "scale=1500\n4*a(1)\ne(2)\nl(7)\n" },
	},
	{
		name: "perl with hashes and regular expressions",
		needs: "perl",
		command: "perl count.pl < numbers > result",
		files: {
			numbers,
			"count.pl":
				'my %h; my $s = 0;\nwhile (<STDIN>) { chomp; $h{$1}++ if /^(\\d)/; $s = ($s * 33 + $_) % 1000003 for 1..24; }\nprint join(\',\', map { "$_=$h{$_}" } sort keys %h), " $s\\n";\n',
		},
	},
	{
		name: "sqlite3 with a deleted temporary file",
		needs: "sqlite3",
		command: "sqlite3 :memory: < work.sql > result",
		files: {
			"work.sql":
				"PRAGMA temp_store=FILE; PRAGMA temp.cache_size=4;\nCREATE TEMP TABLE t(a INTEGER PRIMARY KEY, b TEXT);\nINSERT INTO t SELECT value, hex(value * 7) FROM generate_series(1, 20000);\nWITH RECURSIVE c(x, y) AS (SELECT 1, 1 UNION ALL SELECT x + 1, (y * 31 + x) % 1000003 FROM c WHERE x < 5000000) SELECT sum(y) FROM c;\nSELECT count(*), sum(length(b)), max(b) FROM t;\n",
		},
		options: ["--ghost-limit", "16M"],
		holds: /etilqs.* \(deleted\)$/,
	},
	{
		name: "lua building tables",
		needs: "lua5.4",
		command:
			"lua5.4 -e 'local t, s = {}, 0; for i = 1, 4e7 do t[i % 1000] = i; s = (s * 31 + (t[i * 7 % 1000] or 0)) % 1000003 end; print(s)' > result",
	},
	{
		name: "python3 with 1 GiB of touched memory",
		needs: "/usr/bin/python3",
		command: "/usr/bin/python3 gib.py",
		files: {
			"gib.py":
				"import random, zlib\nr = random.Random(7)\nblock = r.randbytes(1 << 20)\nb = bytearray(1 << 30)\nfor i in range(1024):\n    b[i << 20:(i + 1) << 20] = block\n    b[(i << 20) + i * 1000] = i % 256\nopen('filled', 'w')\nc = 0\nfor i in range(3):\n    c = zlib.crc32(b, c)\nopen('result', 'w').write(str(c))\n",
		},
		cycles: 1,
		begun: "filled",
	},
];

const allPrograms: readonly { program: RealProgram; alone: boolean }[] = [
	...programs.map((program) => ({ program, alone: false })),
	// The original's part is in the scenarios of trees.
	...trees.map((program) => ({ program, alone: true })),
];

const pairings: readonly { name: string; sides: readonly [Side, Side][] }[] = [
	{
		name: "ours to ours, twice",
		sides: [
			["ours", "ours"],
			["ours", "ours"],
		],
	},
	{
		name: "ours to the peer and back",
		sides: [
			["ours", "peer"],
			["peer", "ours"],
		],
	},
	{
		name: "the peer to ours and back",
		sides: [
			["peer", "ours"],
			["ours", "peer"],
		],
	},
];

const inTurn = limitJobs(2);
const isRoot = process.getuid?.() === 0;
const references = new Map<string, Promise<string>>();

async function prepareFolder(program: RealProgram): Promise<string> {
	const dir = mkdtempSync("/dev/shm/real-program-");
	chmodSync(dir, 0o755);
	await fillFolder(program, dir);
	return dir;
}

async function fillFolder({ files = {}, prepare }: RealProgram, dir: string): Promise<void> {
	const work = join(dir, "work");
	mkdirSync(work);
	for (const [name, text] of Object.entries(files)) writeFileSync(join(work, name), text);
	if (prepare === undefined) return;
	const child = Bun.spawn(["sh", "-c", prepare], { cwd: work, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
	const text = await new Response(child.stderr).text();
	if ((await child.exited) !== 0) throw new Error(`${prepare}: ${text}`);
}

/** Lets a program that waits go on to its end. */
const finish = (dir: string) => writeFileSync(join(dir, "work/finish"), "");

/** The result of an uninterrupted run. */
async function computeReference(program: RealProgram): Promise<string> {
	if (program.result !== undefined) return program.result;
	const dir = await prepareFolder(program);
	try {
		finish(dir);
		const child = Bun.spawn(["sh", "-c", `exec ${program.command}`], {
			cwd: join(dir, "work"),
			stdin: "ignore",
			stdout: "ignore",
		});
		expect(await child.exited).toBe(0);
		return readFileSync(join(dir, "work/result"), "latin1");
	} finally {
		rmSync(dir, { recursive: true, force: true });
	}
}

/** Waits until the process has used that many clock ticks of CPU time since it was made, which puts it in the middle of its work. */
async function useCpu(procPath: string, ticks: number): Promise<void> {
	for (const deadline = performance.now() + 120_000; performance.now() < deadline; ) {
		const text = readFileSync(`${procPath}/stat`, "latin1");
		const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
		if (Number(fields[11]) + Number(fields[12]) >= ticks) return;
		await Bun.sleep(2); // the kernel has no event for used CPU time
	}
	throw new Error("the program uses no CPU");
}

/** Waits for what the program says about its middle. */
async function reachMiddle(program: RealProgram, procPath: string, dir: string): Promise<void> {
	const { begun, holds } = program;
	const isThere = () =>
		(begun === undefined || existsSync(join(dir, "work", begun))) &&
		(holds === undefined ||
			readdirSync(`${procPath}/fd`).some((fd) => holds.test(readlinkSync(`${procPath}/fd/${fd}`, "latin1"))));
	for (const deadline = performance.now() + 120_000; performance.now() < deadline; ) {
		if (isThere()) return;
		await Bun.sleep(2); // descriptors of another process come without an event
	}
	throw new Error("the program did not reach its middle");
}

async function runCriu(stage: Stage, dir: string, args: string[]): Promise<void> {
	const log = join(dir, "criu.out");
	const ending = await stage.run(log, dir, args, 120_000);
	if (ending.how === "exit" && ending.code === 0) return;
	throw new Error(
		`${args.join(" ")}: ${showEnding(ending)}\n${existsSync(log) ? readFileSync(log, "latin1").slice(-2000) : ""}`,
	);
}

/** The program was done before it could be dumped: on a busy machine criu may take longer to start than it to end. */
class DoneTooEarly extends Error {}

/** Does something to the running program. @throws DoneTooEarly when that fails because it has come to its end */
async function whileRunning<T>(stage: Stage, pid: number, act: () => Promise<T>): Promise<T> {
	try {
		return await act();
	} catch (error) {
		const ending = await stage.died(pid, 100).catch(() => undefined);
		if (ending?.how === "exit" && ending.code === 0) throw new DoneTooEarly();
		throw error;
	}
}

const ATTEMPTS = 25;

/** Gives the program's result after its checkpoints; starts again when it was too fast for them. */
async function checkpointInTime(program: RealProgram, sides: readonly [Side, Side][], dir: string): Promise<string> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await checkpoint(program, sides, dir);
		} catch (error) {
			if (!(error instanceof DoneTooEarly) || attempt === ATTEMPTS) throw error;
			for (const name of readdirSync(dir)) rmSync(join(dir, name), { recursive: true });
			await fillFolder(program, dir);
		}
	}
}

async function checkpoint(program: RealProgram, sides: readonly [Side, Side][], dir: string): Promise<string> {
	const host = await openHost();
	const stage = await Stage.open({ program: host.stage, kdat: host.kdat, log: join(dir, "stage.log") });
	try {
		const pid = await stage.start(join(dir, "out"), join(dir, "work"), ["/bin/sh", "-c", `exec ${program.command}`]);
		const options = program.options ?? [];
		for (const [i, [dumper, restorer]] of sides.slice(0, program.cycles ?? 2).entries()) {
			const images = join(dir, `images${i}`);
			mkdirSync(images);
			const command = [host.criu[dumper] ?? "", "dump", "-t", `${pid}`, "-D", images, "-o", "dump.log", "-v4"];
			await whileRunning(stage, pid, async () => {
				if (!program.waits) await useCpu(stage.procPath(pid), i === 0 ? 12 : 6);
				await reachMiddle(program, stage.procPath(pid), dir);
				await runCriu(stage, dir, [...command, ...options]);
			});
			expect(await stage.died(pid)).toEqual({ how: "signal", code: 9 });
			await runCriu(stage, dir, [host.criu[restorer] ?? "", "restore", "-d", "-D", images, "-o", "restore.log", "-v4"]);
			rmSync(images, { recursive: true });
		}
		finish(dir);
		expect(await stage.died(pid, 120_000)).toEqual({ how: "exit", code: 0 });
		return readFileSync(join(dir, "work/result"), "latin1");
	} finally {
		await stage.close();
	}
}

afterAll(closeMatrix, 30_000);

describe.skipIf(!isRoot)("a real program", () => {
	for (const { program, alone } of allPrograms) {
		const found = Bun.which(program.needs) !== null;
		const lack = found ? "" : ` (skipped: no ${program.needs} here)`;
		for (const pairing of alone ? pairings.slice(0, 1) : pairings) {
			test.concurrent.skipIf(!found)(
				`${program.name} comes to the same result, ${pairing.name}${lack}`,
				() =>
					inTurn(async () => {
						const host = await openHost();
						if (host.criu.peer === undefined && pairing.sides.flat().includes("peer")) {
							console.log(`skipped: ${host.peerMissing}`);
							return;
						}
						const reference = references.get(program.name) ?? computeReference(program);
						references.set(program.name, reference);
						const dir = await prepareFolder(program);
						let result: string;
						try {
							result = await checkpointInTime(program, pairing.sides, dir);
						} catch (error) {
							throw new Error(`${error instanceof Error ? error.message : error}\nkept: ${dir}`);
						}
						expect(result).toBe(await reference);
						rmSync(dir, { recursive: true, force: true });
					}),
				300_000,
			);
		}
	}
});
