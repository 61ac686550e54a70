// SPDX-License-Identifier: GPL-2.0-only
// criu service: many clients, bad ones, and those who may do less than root.

import { expect, test } from "bun:test";
import {
	chmodSync,
	chownSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { criu_req_type as Type } from "../../src/images/gen/rpc_pb.ts";
import { describeAsRoot } from "../as-root.ts";
import { CRIU, encodeRequest, isAlive, makeImagesDir, startTarget, TestService } from "./client.ts";

const EPERM = 1;
const NOBODY = 65534;
const USER_CLIENT = join(import.meta.dir, "user-client.py");
const python = Bun.which("python3", { PATH: "/usr/bin:/bin:/usr/local/bin" });
const noPython = python === null ? " (skipped: needs python3)" : "";

describeAsRoot("the service", () => {
	test("starts in the background, tells its pid, and takes its socket away at the end, not the pid file", async () => {
		const dir = mkdtempSync(join(tmpdir(), "criu-daemon-"));
		try {
			const words = ["service", "-d", "-W", basename(dir), "--address", "sock", "--pidfile", "pid", "-o", "log", "-v4"];
			const options = { cwd: tmpdir() };
			expect(Bun.spawnSync([CRIU, ...words], options).exitCode).toBe(0);
			const pid = Number(readFileSync(join(dir, "pid"), "utf8"));
			expect(statSync(join(dir, "sock")).mode & 0o777).toBe(0o666);
			// A second one finds the pid file: it says so and ends, and takes nothing from the first one.
			const foreground = words.filter((word) => word !== "-d");
			const elsewhere = foreground.map((word) => (word === "sock" ? "sock2" : word));
			for (const second of [words, foreground, elsewhere]) {
				const { exitCode, stderr } = Bun.spawnSync([CRIU, ...second], options);
				expect([exitCode, stderr.toString()]).toEqual([1, expect.stringContaining("[PIDFILE]")]);
			}
			expect(["sock", "sock2"].filter((name) => existsSync(join(dir, name)))).toEqual(["sock"]);
			process.kill(pid, "SIGTERM");
			while (isAlive(pid)) await Bun.sleep(5);
			expect(["sock", "pid"].filter((name) => existsSync(join(dir, name)))).toEqual(["pid"]);
		} finally {
			rmSync(dir, { recursive: true, force: true });
		}
	});

	test("dumps and restores, and refuses what only a worker of one's own can do", async () => {
		await using service = await TestService.start();
		using images = makeImagesDir();
		const target = await startTarget();
		try {
			const opts = { imagesDirFd: images.fd, pid: target.pid };
			for (const [more, name] of [
				[{ rstSibling: true }, "rst_sibling"],
				[{ inheritFd: [{ fd: 1, key: Buffer.from("x") }] }, "inherit_fd"],
				[{ ps: { fd: 5 } }, "ps.fd"],
			] as const) {
				const client = service.connect();
				const response = client.request(Type.RESTORE, { ...opts, ...more } as never);
				expect(response).toMatchObject({ success: false, crErrno: 56 });
				expect(response?.crErrmsg).toContain(`${name} can't be used through the service`);
				client.close();
			}
			const dump = service.connect();
			expect(dump.request(Type.DUMP, opts)).toMatchObject({ success: true });
			expect(dump.receive()).toBeUndefined();
			dump.close();
			await target.kill();
			const restore = service.connect();
			expect(restore.request(Type.RESTORE, { imagesDirFd: images.fd })).toMatchObject({
				success: true,
				restore: { pid: target.pid },
			});
			restore.close();
			process.kill(target.pid, "SIGKILL");
		} finally {
			await target.kill();
		}
	});

	test("lives on through garbage, huge messages, clients that vanish, and 200 at once", async () => {
		await using service = await TestService.start();
		for (const bytes of [Uint8Array.of(255), new Uint8Array(150_000).fill(0x0a), Uint8Array.of(8, 77)]) {
			const client = service.connect();
			expect(client.send(bytes)).toBe(true);
			client.receive();
			client.close();
		}
		for (let i = 0; i < 20; i++) {
			const client = service.connect();
			if (i % 2 === 0) client.send(encodeRequest(Type.VERSION));
			client.close();
		}
		// The kernel lets no more than the backlog wait; the service takes them all and starts a worker for who speaks.
		const idle = Array.from({ length: 200 }, () => service.connect());
		const speaking = idle.filter((_one, index) => index % 40 === 0);
		for (const client of speaking) client.send(encodeRequest(Type.VERSION));
		for (const client of speaking) expect(client.receive()).toMatchObject({ type: Type.VERSION, success: true });
		for (const client of idle) client.close();
		const last = service.connect();
		expect(last.request(Type.VERSION)).toMatchObject({ success: true });
		last.close();
		expect(await service.stop()).toBe(0);
	});

	test("refuses directories that others can write to, and symbolic links", async () => {
		await using service = await TestService.start();
		using images = makeImagesDir();
		const link = join(service.dir, "link");
		symlinkSync(images.dir, link);
		const ask = (opts: object) => {
			const client = service.connect();
			const response = client.request(Type.DUMP, { pid: 1, ...opts } as never);
			client.close();
			return response;
		};
		const linked = ask({ imagesDirFd: -1, imagesDir: Buffer.from(link) });
		expect(linked?.crErrmsg).toContain(`images_dir: ${link} is a symbolic link`);
		chmodSync(images.dir, 0o777);
		const open = ask({ imagesDirFd: images.fd });
		expect(open?.crErrmsg).toContain("can be written to by others, who could change the images");
		chmodSync(images.dir, 0o700);
		symlinkSync("/etc/criu-was-here", join(images.dir, "x.log"));
		const logged = ask({ imagesDirFd: images.fd, logFile: Buffer.from("x.log") });
		expect(logged?.crErrmsg).toContain("log_file: x.log is there and is no file");
		expect(existsSync("/etc/criu-was-here")).toBe(false);
	});

	test.skipIf(python === null)(
		`gives users their own processes only, with their own rights on files${noPython}`,
		async () => {
			await using service = await TestService.start();
			chmodSync(service.dir, 0o755);
			const dir = join(service.dir, "images");
			const foreign = join(service.dir, "root-images");
			for (const path of [dir, foreign]) mkdirSync(path);
			chownSync(dir, NOBODY, NOBODY);
			const target = await startTarget();
			try {
				const run = Bun.spawnSync(
					[`${python}`, USER_CLIENT, service.address, dir, foreign, String(target.pid), String(NOBODY)],
					{ stdin: "ignore" },
				);
				expect(run.stderr.toString()).toBe("");
				const results = run.stdout
					.toString()
					.trim()
					.split("\n")
					.map((line) => JSON.parse(line));
				expect(results).toEqual([
					{ what: "version", success: true, errno: 0 },
					{ what: "dump of root's process", success: false, errno: EPERM, text: "isn't user 65534's own" },
					{ what: "restore", success: false, errno: EPERM, text: "may not send a request RESTORE" },
					{ what: "file of options", success: false, errno: EPERM, text: "may not send a file of options" },
					{ what: "root's directory", success: false, errno: 56, text: "belongs to user 0" },
					{ what: "dump of own process", success: true, errno: 0, text: "" },
				]);
				expect(isAlive(target.pid)).toBe(true);
				expect(statSync(join(dir, "inventory.img")).uid).toBe(NOBODY);
			} finally {
				await target.kill();
			}
		},
	);
});
