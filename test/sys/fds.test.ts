// SPDX-License-Identifier: GPL-2.0-only

import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelError } from "../../src/errors.ts";
import { listFds } from "../../src/kernel/procfs/tasks.ts";
import { scanFds } from "../../src/sys/fds.ts";
import { closeFd } from "../../src/sys/file.ts";
import { loadHost } from "../../src/sys/host.ts";
import { openPidfd } from "../../src/sys/process.ts";
import { describeAsRoot } from "../as-root.ts";

loadHost();

const countOwn = () => readdirSync("/proc/self/fd").length;

describeAsRoot("scanFds", () => {
	const dir = mkdtempSync(join(tmpdir(), "criu-fds-"));
	let target: Bun.Subprocess<"pipe", "pipe", "ignore">;
	let request: { pid: number; pidfd: number; prefix: Uint8Array };

	beforeAll(async () => {
		const program = join(dir, "fds");
		const built = spawnSync("gcc", ["-O1", "-Wall", "-Werror", "-o", program, join(import.meta.dir, "fds.c")]);
		expect(built.stderr.toString()).toBe("");
		target = Bun.spawn([program], { stdin: "pipe", stdout: "pipe", stderr: "ignore" });
		const { value } = await target.stdout.getReader().read();
		expect(Buffer.from(value ?? []).toString()).toBe("ready\n");
		request = { pid: target.pid, pidfd: openPidfd(target.pid), prefix: new Uint8Array(0) };
	});

	afterAll(async () => {
		closeFd(request.pidfd);
		target.kill("SIGKILL");
		await target.exited;
		rmSync(dir, { recursive: true, force: true });
	});

	test("tells of each descriptor once and in order, however much text there is", () => {
		const before = countOwn();
		const fds = listFds(request.pid);
		const told: number[] = [];
		let [counters, epolls, text] = [0, 0, 0];
		scanFds({ ...request, fds }, (one) => {
			closeFd(one.ownFd);
			told.push(one.fd);
			text += one.info.length;
			const info = Buffer.from(one.info).toString();
			expect(info).toBe(one.text.slice(one.infoAt, one.infoEnd));
			const link = Buffer.from(one.link).toString();
			if (link === "anon_inode:[eventfd]") {
				counters++;
				expect(Number.parseInt(/^eventfd-count:\s*([0-9a-f]+)$/m.exec(info)?.[1] ?? "", 16)).toBe(counters);
			} else if (link === "anon_inode:[eventpoll]") {
				epolls++;
				expect(info.match(/^tfd:/gm)?.length).toBe(600);
			}
		});
		expect({ told, counters, epolls }).toEqual({ told: fds, counters: 600, epolls: 12 });
		expect(text).toBeGreaterThan(256 * 1024);
		expect(countOwn()).toBe(before);
	});

	test.each([0, 10, 200, 300, 500, 511, 512])("keeps no copies when number %i is closed", (missing) => {
		const before = countOwn();
		const fds = listFds(request.pid);
		fds.splice(missing, 0, 100_000);
		const told: number[] = [];
		const scan = () =>
			scanFds({ ...request, fds }, (one) => {
				closeFd(one.ownFd);
				told.push(one.fd);
			});
		expect(scan).toThrow(KernelError);
		expect(scan).toThrow("fd 100000 of pid");
		expect(told.every((fd, i) => fd === fds[i % (told.length / 2)])).toBe(true);
		expect(countOwn()).toBe(before);
	});

	test("gives back what nobody took when taking fails", () => {
		const before = countOwn();
		const fds = listFds(request.pid);
		let taken = 0;
		const scan = () =>
			scanFds({ ...request, fds }, (one) => {
				if (taken++ === 100) throw new Error("enough");
				closeFd(one.ownFd);
			});
		expect(scan).toThrow("enough");
		expect(countOwn()).toBe(before);
	});
});
