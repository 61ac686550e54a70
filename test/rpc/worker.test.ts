// SPDX-License-Identifier: GPL-2.0-only
// criu swrk: requests of every type, their failures, notifications, and clients that break the rules.

import { expect, test } from "bun:test";
import {
	closeSync,
	constants,
	existsSync,
	mkdirSync,
	openSync,
	readFileSync,
	readlinkSync,
	readSync,
	writeFileSync,
	writeSync,
} from "node:fs";
import { join } from "node:path";
import { criu_req_type as Type } from "../../src/images/gen/rpc_pb.ts";
import { closeFd } from "../../src/sys/file.ts";
import { describeAsRoot } from "../as-root.ts";
import { CRIU, endAndWait, isAlive, makeImagesDir, startTarget, startWorker } from "./client.ts";

const python = Bun.which("python3", { PATH: "/usr/bin:/bin:/usr/local/bin" });
const noPython = python === null ? " (skipped: needs python3)" : "";
const ESRCH = 3;
const EBADRQC = 56;
const EEXIST = 17;
/** Answers to a notification. */
const ACK = Uint8Array.of(8, Type.NOTIFY, 24, 1);
const NACK = Uint8Array.of(8, Type.NOTIFY, 24, 0);

describeAsRoot("a worker", () => {
	test("tells its version, keeps open when asked, and waits for nobody's child", async () => {
		const client = startWorker();
		const version = client.request(Type.VERSION, undefined, { keepOpen: true });
		expect(version).toMatchObject({ type: Type.VERSION, success: true, version: { majorNumber: 4, minorNumber: 2 } });
		const features = client.request(Type.FEATURE_CHECK, undefined, { keepOpen: true, features: { pidfdStore: true } });
		expect(features).toMatchObject({
			success: true,
			features: { memTrack: false, lazyPages: false, pidfdStore: true },
		});
		const unasked = client.request(Type.FEATURE_CHECK, undefined, { keepOpen: true, features: {} });
		expect(unasked?.features?.pidfdStore).toBe(false);
		expect(client.request(Type.WAIT_PID, undefined, { pid: 1 })).toMatchObject({ type: Type.WAIT_PID, success: false });
		expect(client.receive()).toBeUndefined();
		expect(await client.worker?.exited).toBe(0);
	});

	test("checks the host", async () => {
		const client = startWorker();
		expect(client.request(Type.CHECK)).toMatchObject({ type: Type.CHECK, success: true });
		expect(await client.worker?.stdout).toBe("Looks good.\n");
		// The log needs a directory; which one is told by work_dir_fd alone.
		using images = makeImagesDir();
		const logged = { workDirFd: images.fd, logFile: Buffer.from("check.log"), logLevel: 4 };
		expect(startWorker().request(Type.CHECK, logged)).toMatchObject({ type: Type.CHECK, success: true });
		expect(readFileSync(join(images.dir, "check.log"), "utf8")).toContain("Request check");
	});

	test("writes and compares the CPU's properties, in one conversation", () => {
		using images = makeImagesDir();
		const client = startWorker();
		const opts = { imagesDirFd: images.fd, cpuCap: 0xffff_ffff };
		const missing = client.request(Type.CPUINFO_CHECK, opts, { keepOpen: true });
		expect(missing).toMatchObject({ type: Type.CPUINFO_CHECK, success: false });
		expect(missing?.crErrmsg).toContain("cpuinfo");
		for (const type of [Type.CPUINFO_DUMP, Type.CPUINFO_CHECK])
			expect(client.request(type, opts, { keepOpen: true })).toMatchObject({ type, success: true });
		client.close();
	});

	test.each([
		["of no known type", Uint8Array.of(8, 77), true],
		["of type NOTIFY", Uint8Array.of(8, 6), true],
		["that is garbage", Uint8Array.of(255, 1, 2, 3), false],
		["without a type", Uint8Array.of(24, 1), false],
		["that keeps a dump open", Uint8Array.of(8, 1, 32, 1), false],
	])("ends at a request %s", async (_what, bytes, answered) => {
		const client = startWorker();
		client.send(bytes);
		const response = client.receive();
		if (answered) expect(response).toMatchObject({ type: Type.EMPTY, success: false });
		else expect(response).toBeUndefined();
		expect(await client.worker?.exited).toBe(255);
		expect(await client.worker?.stderr).toStartWith("error: ");
	});

	test("ends when its client is gone before the first request", async () => {
		const client = startWorker();
		client.close();
		expect(await client.worker?.exited).toBe(255);
	});

	test("names what is wrong with a request, one after the other", async () => {
		using images = makeImagesDir();
		const fd = images.fd;
		const text = (value: string) => Buffer.from(value);
		const cases = [
			[undefined, "a request DUMP without options"],
			[{ imagesDirFd: -1 }, "neither images_dir_fd nor images_dir"],
			[{}, "neither images_dir_fd nor images_dir"],
			[{ imagesDirFd: 9999 }, "descriptor 9999 of the client"],
			[{ imagesDirFd: -1, imagesDir: text("/nonexistent") }, "images_dir: /nonexistent can't be opened"],
			[{ imagesDirFd: fd, logFile: text("../x.log") }, "log_file: ../x.log is a path"],
			[{ imagesDirFd: fd, logFile: text("a\0b") }, "a text with a NUL byte"],
			[{ imagesDirFd: fd, freezeCgroup: Uint8Array.of(0xff) }, "a text that isn't UTF-8"],
			[{ imagesDirFd: fd, emptyNs: 0x20000000 }, "invalid argument for --empty-ns: 0x20000000"],
			[{ imagesDirFd: fd, manageCgroupsMode: 9 }, "unknown cgroup mode: 9"],
			[{ imagesDirFd: fd, networkLock: 9 }, "invalid argument for --network-lock: 9"],
			[
				{ imagesDirFd: fd, external: [text("net[12]:key")] },
				"cannot do --external=net[12]:key yet (asked for by the request)",
			],
			[{ imagesDirFd: fd, mntnsCompatMode: true }, "mntns_compat_mode is for restores only"],
			[{ imagesDirFd: fd, statusFd: 9999, pid: 1 }, "status_fd: descriptor 9999 of the client"],
			[{ imagesDirFd: fd, pidfdStoreSk: fd, pid: 1 }, `pidfd_store_sk: descriptor ${fd} of the client`],
			[{ imagesDirFd: fd, ps: { port: 70_000 }, pid: 1 }, "invalid argument for --port: 70000"],
			[{ imagesDirFd: fd, ps: { port: 1 }, pid: process.pid }, "is an ancestor of criu"],
			[{ imagesDirFd: fd, pid: 0 }, "invalid argument for -t: 0"],
			[{ imagesDirFd: fd, pid: 0x7fff_ffff }, "pid 2147483647 doesn't exist"],
		] as const;
		const results = cases.map(([opts]) => {
			const client = startWorker();
			const response = client.request(Type.DUMP, opts as never);
			return { client, response };
		});
		for (const [index, { client, response }] of results.entries()) {
			expect(response).toMatchObject({ type: Type.DUMP, success: false, dump: { restored: false } });
			expect(response?.crErrmsg).toContain(cases[index]?.[1] ?? "");
			expect(response?.crErrmsg).toMatch(/^Error \([\w.-]+:\d+\): .*\n$/);
			expect(response?.crErrno).toBe(index === cases.length - 1 ? ESRCH : EBADRQC);
			expect(await client.worker?.exited).toBe(1);
			client.close();
		}
	});

	test("dumps and restores, asks its client at every hook, and hands the pid over", async () => {
		using images = makeImagesDir();
		const target = await startTarget();
		try {
			const work = join(images.dir, "work");
			mkdirSync(work);
			const seen: string[] = [];
			const talk = (client: ReturnType<typeof startWorker>, type: Type, opts: object, nackAt = "") => {
				let response = client.request(type, { imagesDirFd: images.fd, logLevel: 4, notifyScripts: true, ...opts });
				for (; response?.type === Type.NOTIFY; response = client.receive()) {
					const { script = "", pid } = response.notify ?? {};
					seen.push(pid === 0 ? script : `${script} ${pid === target.pid}`);
					client.send(Buffer.from([8, Type.NOTIFY, 24, script === nackAt ? 0 : 1]));
				}
				client.close();
				return response;
			};
			const dumped = { pid: target.pid, logFile: Buffer.from("dump.log") };
			const refused = startWorker();
			expect(talk(refused, Type.DUMP, dumped, "post-dump")).toMatchObject({ success: false });
			expect(await refused.worker?.exited).toBe(1);
			expect(isAlive(target.pid)).toBe(true);
			expect(seen.splice(0)).toEqual(["pre-dump", "query-ext-files", "post-dump"]);
			expect(talk(startWorker(), Type.DUMP, dumped)).toMatchObject({ type: Type.DUMP, success: true });
			expect(seen.splice(0)).toEqual(["pre-dump", "query-ext-files", "post-dump"]);
			await target.kill();
			expect(readFileSync(join(images.dir, "dump.log"), "utf8")).toContain("Dumping finished successfully");
			// A plain program's memory needs no field that CRIU's crit doesn't know.
			const crit = Bun.spawnSync([CRIU, "crit", "decode", "-i", join(images.dir, `mm-${target.pid}.img`)]);
			expect({ code: crit.exitCode, err: crit.stderr.toString() }).toEqual({ code: 0, err: "" });
			const failed = talk(startWorker(), Type.RESTORE, {}, "post-restore");
			expect(failed).toMatchObject({ success: false, restore: { pid: -1 } });
			expect(failed?.crErrmsg).toContain("the client said no at post-restore");
			expect(isAlive(target.pid)).toBe(false);
			expect(seen.splice(0)).toEqual(["pre-restore", "post-restore true"]);
			const good = talk(startWorker(), Type.RESTORE, {}, "post-resume");
			expect(good).toMatchObject({ type: Type.RESTORE, success: true, restore: { pid: target.pid } });
			expect(seen.splice(0)).toEqual(["pre-restore", "post-restore true", "pre-resume", "post-resume"]);
			expect(existsSync(join(images.dir, "criu.log"))).toBe(true);
			const again = talk(startWorker(), Type.RESTORE, { notifyScripts: false });
			expect(again).toMatchObject({ success: false, crErrno: EEXIST });
			process.kill(target.pid, "SIGKILL");
		} finally {
			await target.kill();
		}
	});

	test("restores a child of its client, and becomes the program of exec_cmd", async () => {
		using images = makeImagesDir();
		const target = await startTarget();
		const config = join(images.dir, "conf");
		writeFileSync(config, `work-dir ${images.dir}\nlog-file other.log\npidfile the-pid\n`);
		try {
			const dump = startWorker();
			expect(dump.request(Type.DUMP, { imagesDirFd: images.fd, pid: target.pid })).toMatchObject({ success: true });
			await target.kill();
			const worker = startWorker();
			const response = worker.request(Type.RESTORE, {
				imagesDirFd: images.fd,
				rstSibling: true,
				execCmd: ["sh", "-c", "echo said by the program; exit 9"].map((word) => Buffer.from(word)),
				configFile: Buffer.from(config),
			});
			expect(response).toMatchObject({ success: true, restore: { pid: target.pid } });
			expect(await worker.worker?.exited).toBe(9);
			expect(readFileSync(join(images.dir, "other.log"), "utf8")).toContain("said by the program");
			expect(readFileSync(join(images.dir, "the-pid"), "utf8")).toBe(String(target.pid));
			const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${target.pid}/status`, "latin1"))?.[1];
			expect(Number(parent)).toBe(process.pid);
			process.kill(target.pid, "SIGKILL");
		} finally {
			await target.kill();
		}
	});

	test.skipIf(python === null)(`hands over the master of a terminal whose own was outside${noPython}`, async () => {
		using images = makeImagesDir();
		const keeper = Bun.spawn([`${python}`, join(import.meta.dir, "terminal-keeper.py")], {
			stdio: ["pipe", "pipe", "inherit"],
		});
		try {
			const output = keeper.stdout.getReader();
			let rest = "";
			// A line may come in pieces.
			const read = async () => {
				while (!rest.includes("\n")) {
					const { value, done } = await output.read();
					if (done) throw new Error("the keeper of the terminal has ended");
					rest += new TextDecoder().decode(value);
				}
				const end = rest.indexOf("\n");
				const line = rest.slice(0, end);
				rest = rest.slice(end + 1);
				return line;
			};
			const pid = Number(await read());
			const opts = { imagesDirFd: images.fd, orphanPtsMaster: true };
			const refused = startWorker().request(Type.DUMP, { imagesDirFd: images.fd, pid });
			expect(refused?.crErrmsg).toContain("is a terminal whose other end is outside of the dumped tree");
			expect(startWorker().request(Type.DUMP, { ...opts, pid })).toMatchObject({ success: true });
			expect(await read()).toBe("closed");
			const silent = startWorker().request(Type.RESTORE, opts);
			expect(silent?.crErrmsg).toContain("the dumped program had a terminal of a shell");
			for (const answer of [NACK, ACK]) {
				const client = startWorker();
				let response = client.request(Type.RESTORE, { ...opts, notifyScripts: true });
				const seen: string[] = [];
				let master = -1;
				for (; response?.type === Type.NOTIFY; response = client.receive()) {
					const script = response.notify?.script ?? "";
					seen.push(script);
					if (script === "orphan-pts-master") master = response.passed ?? -1;
					client.send(script === "orphan-pts-master" ? answer : ACK);
				}
				client.close();
				expect(response?.crErrmsg ?? "").toContain(answer === ACK ? "" : "had a terminal of a shell");
				expect(response?.success).toBe(answer === ACK);
				expect(seen.slice(0, 3)).toEqual([
					"pre-restore",
					"orphan-pts-master",
					...(answer === ACK ? ["post-restore"] : []),
				]);
				expect(readlinkSync(`/proc/self/fd/${master}`)).toMatch(/ptmx$/);
				if (answer === NACK) closeFd(master);
				else {
					writeSync(master, "hello\n");
					const bytes = Buffer.alloc(4096);
					let text = "";
					while (!text.includes("got hello")) text += bytes.toString("latin1", 0, readSync(master, bytes));
					closeFd(master);
				}
			}
			// Its terminal is gone with the master.
			while (isAlive(pid)) await Bun.sleep(3);
		} finally {
			keeper.kill("SIGKILL");
			await keeper.exited;
		}
	});

	test("pre-dumps again and again before the dump, in one conversation", async () => {
		using images = makeImagesDir();
		const target = await startTarget();
		try {
			const client = startWorker();
			const features = client.request(Type.FEATURE_CHECK, undefined, { keepOpen: true, features: { memTrack: true } });
			if (features?.features?.memTrack !== true) {
				console.log("(skipped: this kernel notes no writes)");
				return;
			}
			const fds = ["1", "2"].map((name) => {
				mkdirSync(join(images.dir, name));
				return openSync(join(images.dir, name), constants.O_RDONLY | constants.O_DIRECTORY);
			});
			const [first = -1, second = -1] = fds;
			const opts = { pid: target.pid, trackMem: true };
			expect(client.request(Type.PRE_DUMP, { ...opts, imagesDirFd: first })).toMatchObject({
				type: Type.PRE_DUMP,
				success: true,
			});
			expect(isAlive(target.pid)).toBe(true);
			const dumped = client.request(Type.DUMP, { ...opts, imagesDirFd: second, parentImg: Buffer.from("../1") });
			expect(dumped).toMatchObject({ type: Type.DUMP, success: true });
			expect(await client.worker?.exited).toBe(0);
			await target.kill();
			expect(startWorker().request(Type.RESTORE, { imagesDirFd: second })).toMatchObject({ success: true });
			await endAndWait(target.pid);
			const other = startWorker();
			expect(other.request(Type.SINGLE_PRE_DUMP, { imagesDirFd: first, pid: 0x7fff_ffff })).toMatchObject({
				type: Type.SINGLE_PRE_DUMP,
				success: false,
			});
			expect(await other.worker?.exited).toBe(255);
			for (const fd of fds) closeSync(fd);
		} finally {
			await target.kill();
		}
	});

	test("rolls a dump back when its client goes away or a signal comes", async () => {
		using images = makeImagesDir();
		const target = await startTarget();
		try {
			for (const how of ["hangup", "SIGTERM"] as const) {
				const client = startWorker();
				const opts = { imagesDirFd: images.fd, pid: target.pid, notifyScripts: true };
				const first = client.request(Type.DUMP, opts);
				expect(first?.notify?.script).toBe("pre-dump");
				client.send(Buffer.from([8, Type.NOTIFY, 24, 1]));
				expect(client.receive()?.notify?.script).toBe("query-ext-files");
				if (how === "hangup") client.close();
				else process.kill(client.worker?.pid ?? 0, how);
				const response = how === "hangup" ? undefined : client.receive();
				if (response !== undefined) expect(response.crErrmsg).toContain("ended by SIGTERM");
				expect(await client.worker?.exited).toBe(1);
				expect(readFileSync(`/proc/${target.pid}/status`, "latin1")).toMatch(/^TracerPid:\s+0$/m);
				if (how !== "hangup") closeFd(client.fd);
			}
			expect(existsSync(join(images.dir, "inventory.img"))).toBe(false);
		} finally {
			await target.kill();
		}
	});
});
