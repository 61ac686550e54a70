// SPDX-License-Identifier: GPL-2.0-only
// What is told of memory on its way: lines of JSON for programs, a line for people, and that nobody has to wait for either.

import { afterAll, expect, test } from "bun:test";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TIOCGPTN, TIOCSPTLCK, TIOCSWINSZ } from "../../src/kernel/abi/ioctl.ts";
import { SYS_ioctl, SYS_pipe2, SYS_write } from "../../src/kernel/abi/syscalls.x86_64.ts";
import { endProgress, hideProgress, mustSyscall, noteProgress, startProgress, syscall } from "../../src/sys/host.ts";
import { describeAsRoot } from "../as-root.ts";
import { until } from "../until.ts";
import { build, criu } from "./churn.ts";

const TIMEOUT = 300_000;
const WAIT_MS = 120_000;
const BYTES = 4 << 20;
const O_NONBLOCK = 0o4000;
const O_RDWR = 2;
const O_NOCTTY = 0o400;
const ERASE = "\r\x1b[K";
const dir = mkdtempSync(join(tmpdir(), "progress-"));

let restored = 0;

afterAll(() => {
	if (restored > 0 && existsSync(`/proc/${restored}`)) process.kill(restored, "SIGKILL");
	rmSync(dir, { recursive: true, force: true });
});

function openPipe(): [read: number, write: number] {
	const fds = new Int32Array(2);
	mustSyscall("", SYS_pipe2, fds, O_NONBLOCK);
	return [fds[0] ?? -1, fds[1] ?? -1];
}

function readAll(fd: number): string {
	const bytes = new Uint8Array(1 << 16);
	let text = "";
	try {
		for (let got = readSync(fd, bytes); got > 0; got = readSync(fd, bytes))
			text += new TextDecoder().decode(bytes.subarray(0, got));
	} catch {
		// Nothing more by now.
	}
	return text;
}

/** criu with a descriptor of ours under number 3. */
function run(fd: number, ...args: string[]) {
	const stdio = ["ignore", "ignore", "pipe", fd] as const;
	const { exitCode, stderr } = Bun.spawnSync([criu, ...args, "--progress-fd", "3"], {
		stdio: [...stdio],
		timeout: WAIT_MS,
	});
	return { code: exitCode, error: String(stderr) };
}

const FINE = { code: 0, error: "" };

describeAsRoot("--progress-fd", () => {
	test(
		"tells how much was moved, and holds nobody up who doesn't read",
		async () => {
			const out = join(dir, "out");
			const images = join(dir, "images");
			mkdirSync(images);
			const child = Bun.spawn([await build("copies")], {
				stdin: "ignore",
				stdout: Bun.file(out),
				stderr: "ignore",
				detached: true,
			});
			await until("the start", () => readFileSync(out, "latin1").includes("\n"));
			const pidfile = join(dir, "pid");
			const of = (pid: number) => ["-t", String(pid), "-D", images, "--shell-job"];
			const back = ["-d", "-D", images, "--shell-job", "--new-pidns", "--pidfile", pidfile];

			const [read, write] = openPipe();
			expect(run(write, "dump", ...of(child.pid))).toEqual(FINE);
			await child.exited;
			expect(run(write, "restore", ...back)).toEqual(FINE);
			restored = Number(readFileSync(pidfile, "latin1"));
			const target = of(restored);
			const events = readAll(read)
				.trimEnd()
				.split("\n")
				.map((line) => JSON.parse(line));
			for (const what of ["dump", "restore"]) {
				const own = events.filter((event) => event.what === what);
				expect(own[0]).toMatchObject({ event: "begin", bytes: 0 });
				const last = own[own.length - 1];
				expect(last).toMatchObject({ event: "end", ok: true, bytes: last.total, left_ms: expect.any(Number) });
				expect(last.bytes).toBeGreaterThanOrEqual(BYTES);
				expect(own.slice(1, -1).every(({ event }) => event === "progress")).toBe(true);
			}

			// Full, closed at the other end, not open at all, a file.
			const junk = new Uint8Array(1 << 12);
			while (syscall(SYS_write, write, junk, junk.length) > 0);
			expect(run(write, "dump", ...target, "-R")).toEqual(FINE);
			closeSync(read);
			expect(run(write, "dump", ...target, "-R")).toEqual(FINE);
			closeSync(write);
			const bad = Bun.spawnSync([criu, "dump", ...target, "-R", "--progress-fd", "77"], { timeout: WAIT_MS });
			expect(bad.exitCode).toBe(0);
			const file = openSync(join(dir, "file"), "w");
			expect(run(file, "dump", ...target)).toEqual(FINE);
			closeSync(file);
			restored = 0;
			expect(readFileSync(join(dir, "file"), "latin1")).toMatch(
				/^\{"event":"begin".*\n(.*\n)*\{"event":"end".*"ok":true\}\n$/,
			);
			const failed = openSync(join(dir, "file"), "w");
			expect(run(failed, "dump", ...target).code).toBe(1);
			closeSync(failed);
		},
		TIMEOUT,
	);
});

test(
	"a terminal shows a line after a second, which makes room for others, and is gone at the end",
	async () => {
		const master = openSync("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
		const number = new Int32Array(1);
		mustSyscall("", SYS_ioctl, master, TIOCSPTLCK, number);
		mustSyscall("", SYS_ioctl, master, TIOCGPTN, number);
		const slave = openSync(`/dev/pts/${number[0]}`, O_RDWR | O_NOCTTY);
		mustSyscall("", SYS_ioctl, slave, TIOCSWINSZ, new Uint8Array(Uint16Array.of(24, 80, 0, 0).buffer));
		let text = "";
		const read = () => {
			text += readAll(master);
			return text;
		};
		try {
			expect(startProgress("dump", slave, -1)).toBe(0);
			expect(startProgress("dump", slave, -1)).toBeLessThan(0);
			noteProgress(600 << 20, 1 << 30);
			await until("a line", () => read().includes(" left"));
			expect(text).toMatch(/^\rdump: 600 MiB of 1\.0 GiB, \d+ MiB\/s, \d+ s left/);
			hideProgress();
			await until("room", () => read().includes(ERASE));
			await until("another line", () => read().slice(text.indexOf(ERASE)).includes(" left"));
			endProgress(true);
			read();
			expect(text.endsWith(ERASE)).toBe(true);
		} finally {
			endProgress(false);
			closeSync(slave);
			closeSync(master);
		}
	},
	TIMEOUT,
);
