// SPDX-License-Identifier: GPL-2.0-only
// Set-ups that have to fail: each message names the object, the reason and a remedy, in one line with a stable code, and the
// log's last error says the same. And runs that succeed: no line of theirs says "Error".

import { afterAll, beforeAll, expect, test } from "bun:test";
import {
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	symlinkSync,
	truncateSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { Counter, CRIU } from "../engine/counter.ts";

const isRoot = process.geteuid?.() === 0;
const dir = mkdtempSync(join(tmpdir(), "criu-failures-"));
/** Images of a counter that runs on, to be damaged in copies. */
let good: Counter;
let goodImages: string;
const helpers: number[] = [];

/** A program that holds something, in Python: its pid, or that of the child whose script goes on. */
async function holder(script: string, ...launch: string[]): Promise<number> {
	const ready = join(mkdtempSync(join(dir, "holder-")), "ready");
	const draft = `${ready}.draft`;
	const tell = `import os\nwith open("${draft}", "w") as out: out.write(str(os.getpid()))\nos.rename("${draft}", "${ready}")`;
	const text = `${script}\n${tell}\nimport signal\nwhile True: signal.pause()`;
	const child = Bun.spawn([...launch, "/usr/bin/python3", "-S", "-E", "-c", text], {
		stdio: ["ignore", "ignore", "ignore"],
	});
	helpers.push(child.pid);
	for (let i = 0; i < 3000 && !(await Bun.file(ready).exists()); i++) await Bun.sleep(20);
	const pid = Number(await Bun.file(ready).text());
	if (pid !== child.pid) helpers.push(pid);
	return pid;
}

function imagesWith(damage: (images: string) => void): string {
	const copy = join(mkdtempSync(join(dir, "damaged-")), "images");
	cpSync(goodImages, copy, { recursive: true });
	damage(copy);
	return copy;
}

interface Failure {
	/** Words of the command line, or what makes them. */
	args: string[] | (() => string[] | Promise<string[]>);
	code: string;
	/** In the message: the object and the reason. */
	says: RegExp;
	config?: string;
}

const PF_KTHREAD = 0x200000;

/** Pid 2, where that is the kernel's. */
function kernelThreads(): string[] {
	const stat = existsSync("/proc/2/stat") ? readFileSync("/proc/2/stat", "latin1") : "";
	const flags = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[6]);
	return (flags & PF_KTHREAD) === 0 ? [] : ["2"];
}

const nowhere = "/nonexistent/criu";
const usage: Failure[] = [
	{ args: ["dump", "-t", "0"], code: "BAD_ARGUMENT", says: /invalid argument for -t: 0/ },
	{ args: ["dump", "-t", "abc"], code: "BAD_ARGUMENT", says: /invalid argument for -t: abc/ },
	{ args: ["dump", "--port", "x"], code: "BAD_ARGUMENT", says: /for --port: x/ },
	{ args: ["dump", "--network-lock=x"], code: "BAD_ARGUMENT", says: /for --network-lock: x/ },
	{ args: ["dump", "--file-validation=x"], code: "BAD_ARGUMENT", says: /file validation method: x/ },
	{ args: ["dump", "--manage-cgroups=x"], code: "BAD_ARGUMENT", says: /cgroup mode: x/ },
	{ args: ["dump", "--cpu-cap=x"], code: "BAD_ARGUMENT", says: /FPU mode `x'/ },
	{ args: ["dump", "--log-format=x"], code: "BAD_ARGUMENT", says: /for --log-format: x/ },
	{ args: ["dump", "--external", "mnt[]:x"], code: "BAD_ARGUMENT", says: /for --external: mnt\[\]:x/ },
	{ args: ["dump", "-x0"], code: "BAD_ARGUMENT", says: /: 0/ },
	{ args: ["dump", "--ext-mount-map", "x"], code: "BAD_ARGUMENT", says: /: x/ },
	{ args: ["restore", "--veth-pair", "x"], code: "BAD_ARGUMENT", says: /for --veth-pair: x/ },
	{ args: ["restore", "-J", "net:/nowhere"], code: "BAD_ARGUMENT", says: /for --join-ns: net:\/nowhere/ },
	{ args: ["restore", "--inherit-fd", "fd[999]:x"], code: "BAD_ARGUMENT", says: /fd\[999\]:x/ },
	{ args: ["restore", "--empty-ns", "pid"], code: "BAD_ARGUMENT", says: /: pid/ },
	{ args: ["check", "--feature", "melt"], code: "UNKNOWN_FEATURE", says: /feature melt/ },
	{ args: ["melt"], code: "UNKNOWN_COMMAND", says: /melt/ },
	{ args: ["help", "melt"], code: "UNKNOWN_TOPIC", says: /melt/ },
	{ args: ["cpuinfo"], code: "CPUINFO_ACTION", says: /dump or check/ },
	{ args: ["restore", "x"], code: "EXCESSIVE_WORDS", says: /restore: x/ },
	{ args: ["dump", "-D", nowhere], code: "IMAGES_DIR", says: /\/nonexistent\/criu.*no such file/ },
	{ args: ["dump", "-D", "/proc/self/stat"], code: "IMAGES_DIR", says: /\/proc\/self\/stat: it is not a directory/ },
	{ args: ["dump", "-W", nowhere], code: "WORK_DIR", says: /\/nonexistent\/criu.*no such file/ },
	{ args: ["dump", "-o", "no/such.log"], code: "LOG_FILE", says: /no\/such\.log.*no such file/ },
	{ args: ["restore", "-S"], code: "SIBLING_NEEDS_DETACHED", says: /--restore-sibling/ },
	{ args: ["check", "--ms"], code: "OBSOLETE_OPTION", says: /--ms/ },
	{ args: ["dump"], config: 'log-file "x\n', code: "CONFIG_FORMAT", says: /config:1: a quote is not closed/ },
];

const dumps: Failure[] = [
	{ args: ["dump"], code: "NO_PID", says: /pid not specified/ },
	{ args: ["dump", "-t", "5", "--inherit-fd", "fd[1]:x"], code: "RESTORE_ONLY", says: /--inherit-fd/ },
	{ args: ["dump", "-t", "5", "--prev-images-dir", "no"], code: "PREV_IMAGES_DIR", says: /: no is not there/ },
	{ args: ["dump", "-t", "999999999"], code: "NO_SUCH_PID", says: /999999999/ },
	// Where kernel threads can be seen: in a container pid 2 is somebody.
	...kernelThreads().map((pid) => ({ args: ["dump", "-t", pid], code: "", says: new RegExp(pid) })),
	{ args: () => ["dump", "-t", String(process.pid)], code: "", says: new RegExp(String(process.pid)) },
	{
		// In a session of its parent's, wherever the test runs: some launchers give it one outside of the pid namespace.
		args: async () => {
			const script = "import os\nif os.fork():\n\timport signal\n\twhile True: signal.pause()";
			return ["dump", "-t", String(await holder(script, "setsid"))];
		},
		code: "NOT_SESSION_LEADER",
		says: /isn't the leader of its session|session/,
	},
	{
		args: async () => {
			const script = `import fcntl\nf = open("${join(dir, "locked")}", "w")\nfcntl.flock(f, fcntl.LOCK_EX)`;
			return ["dump", "-t", String(await holder(script, "setsid"))];
		},
		code: "FILE_LOCKS",
		says: /locked/,
	},
	{
		args: async () => {
			const [a, b] = [join(dir, "linked"), join(dir, "other-name")];
			const script = `import os\nf = open("${a}", "w")\nos.link("${a}", "${b}")\nos.unlink("${a}")`;
			return ["dump", "-t", String(await holder(script, "setsid"))];
		},
		code: "NEEDS_LINK_REMAP",
		says: /linked/,
	},
	{
		args: async () => {
			const big = join(dir, "big");
			const script = `import os\nf = open("${big}", "w")\nf.write("x" * 100000)\nf.flush()\nos.unlink("${big}")`;
			return ["dump", "--ghost-limit", "5000", "-t", String(await holder(script, "setsid"))];
		},
		code: "GHOST_TOO_LARGE",
		says: /big/,
	},
	{
		args: async () => {
			const script =
				"import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\nc = socket.create_connection(s.getsockname())\nd, _ = s.accept()";
			return ["dump", "-t", String(await holder(script, "setsid"))];
		},
		code: "TCP_CONNECTION",
		says: /fd \d/,
	},
	{ args: () => ["dump", "-t", String(good.pid), "--freeze-cgroup", nowhere], code: "", says: /\/nonexistent\/criu/ },
];

const restores: Failure[] = [
	{ args: ["restore"], code: "IMAGE_MISSING", says: /inventory\.img is missing/ },
	{ args: ["cpuinfo", "check"], code: "NO_CPUINFO", says: /cpuinfo\.img is missing/ },
	{ args: () => ["restore", "-D", goodImages, "--cpu-cap=all"], code: "NO_CPUINFO", says: /cpuinfo\.img is missing/ },
	{
		args: () => ["restore", "-D", imagesWith((images) => rmSync(join(images, "inventory.img")))],
		code: "DUMP_INCOMPLETE",
		says: /inventory\.img is missing or not whole/,
	},
	{
		args: () => [
			"restore",
			"-D",
			imagesWith((images) => writeFileSync(join(images, "inventory.img"), "garbage!garbage!")),
		],
		code: "IMAGE_",
		says: /inventory\.img/,
	},
	{
		args: () => ["restore", "-D", imagesWith((images) => rmSync(join(images, `core-${good.pid}.img`)))],
		code: "IMAGE_MISSING",
		says: /core-\d+\.img/,
	},
	{
		args: () => ["restore", "-D", imagesWith((images) => truncateSync(join(images, `mm-${good.pid}.img`), 20))],
		code: "IMAGE_",
		says: /mm-\d+\.img/,
	},
	{
		args: () => [
			"restore",
			"-D",
			imagesWith((images) => writeFileSync(join(images, "files.img"), Buffer.alloc(40, 0xee))),
		],
		code: "IMAGE_",
		says: /files\.img/,
	},
	{
		args: () => [
			"restore",
			"-D",
			imagesWith((images) => {
				rmSync(join(images, "pstree.img"));
				symlinkSync("/etc/passwd", join(images, "pstree.img"));
			}),
		],
		code: "IMAGE_",
		says: /pstree\.img/,
	},
	{ args: () => ["restore", "-d", "-D", goodImages], code: "PID_TAKEN", says: /pid \d+/ },
];

/** Runs it with a log of its own; everything that it said. */
async function fail({ args, config }: Failure) {
	const own = mkdtempSync(join(dir, "run-"));
	const env: Record<string, string> = { HOME: own, PATH: "/usr/sbin:/usr/bin:/bin" };
	if (config !== undefined) {
		env["CRIU_CONFIG_FILE"] = join(own, "config");
		writeFileSync(join(own, "config"), config);
	}
	const words = typeof args === "function" ? await args() : args;
	const logs = words.includes("-o") ? [] : ["-o", join(own, "log")];
	// Words of their own come last, since the last one of an option wins.
	const [command = "", ...rest] = words;
	const images = rest.includes("-D") || rest.includes("-W") ? [] : ["-D", own];
	const run = Bun.spawnSync([CRIU, command, ...images, ...logs, ...rest], {
		cwd: own,
		env,
		stdin: "ignore",
		timeout: 60_000,
	});
	const log = await Bun.file(join(own, "log"))
		.text()
		.catch(() => undefined);
	return { words, exit: run.exitCode, err: run.stderr.toString(), log };
}

beforeAll(async () => {
	if (!isRoot) return;
	good = new Counter();
	await good.counts();
	goodImages = join(dir, "good");
	mkdirSync(goodImages);
	const run = Bun.spawnSync([CRIU, "dump", "-R", "-t", String(good.pid), "-D", goodImages, "-v4", "-o", "dump.log"]);
	expect({ code: run.exitCode, err: run.stderr.toString() }).toEqual({ code: 0, err: "" });
});

afterAll(async () => {
	// One that was dumped though it shouldn't have been is gone.
	for (const pid of helpers) if (existsSync(`/proc/${pid}`)) process.kill(pid, "SIGKILL");
	await good?.[Symbol.asyncDispose]();
	rmSync(dir, { recursive: true, force: true });
});

describeAsRoot("each of these fails with one line that says what, why and what to do", () => {
	test.each([...usage, ...dumps, ...restores].map((failure, index) => [index, failure] as const))(
		"set-up %d",
		async (_index, failure) => {
			const { words, exit, err, log } = await fail(failure);
			const told = { words, exit, err };
			expect(told).toEqual({ words, exit: 1, err: expect.stringMatching(/^error: .+; remedy: .+ \[[A-Z0-9_]+\]\n/) });
			const [line = ""] = err.split("\n");
			expect(line).toMatch(failure.says);
			expect(line).toMatch(new RegExp(`\\[${failure.code}[A-Z0-9_]*\\]$`));
			const errors = (log ?? "").split("\n").filter((text) => /Error \(/.test(text) && !/FAILED\.$/.test(text));
			if (errors.length > 0) expect(errors.at(-1)).toEndWith(line.slice("error: ".length));
			if (log !== undefined && ["dump", "restore"].includes(words[0] ?? "")) expect(errors.length).toBeGreaterThan(0);
		},
		120_000,
	);

	test("and there are enough of them", () => {
		expect(usage.length + dumps.length + restores.length).toBeGreaterThanOrEqual(45);
	});
});

describeAsRoot("a run that succeeds", () => {
	test("says Error in no line", () => {
		expect(readFileSync(join(goodImages, "dump.log"), "utf8")).not.toMatch(/error/i);
	});

	test("writes its log as JSON when asked to", () => {
		const log = join(dir, "json.log");
		const words = ["--log-format", "json", "-v4", "-o", log, "-D", dir];
		const run = Bun.spawnSync([CRIU, "dump", ...words, "-t", "999999999"]);
		const lines = readFileSync(log, "utf8")
			.trim()
			.split("\n")
			.map((line) => JSON.parse(line));
		expect(run.exitCode).toBe(1);
		expect(lines[0]).toMatchObject({
			level: "info",
			message: expect.stringMatching(/^Version/),
			time: expect.any(Number),
		});
		expect(lines.findLast((line) => line.code !== undefined)).toMatchObject({ level: "error", code: "NO_SUCH_PID" });
	});

	test("ends with a summary at a terminal, and with nothing elsewhere", () => {
		const images = join(dir, "at-terminal");
		mkdirSync(images);
		const dump = (pipe: string) => `${CRIU} dump -R -t ${good.pid} -D ${images} -o /dev/null${pipe}`;
		const atTerminal = Bun.spawnSync(["script", "-qec", dump(""), "/dev/null"], { stdin: "ignore" });
		expect(atTerminal.stdout.toString()).toMatch(
			/^Dumped pid \d+: [\d.]+ [KM]iB of images, [\d.]+ m?s, frozen for [\d.]+ m?s\r?\n$/,
		);
		expect(Bun.spawnSync(["sh", "-c", dump("")]).stdout.toString()).toBe("");
	});
});
