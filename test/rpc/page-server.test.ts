// SPDX-License-Identifier: GPL-2.0-only
// Page servers by RPC: for dumps and for lazy restores, plain and over TLS; such that outlive their worker or aren't wanted.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { criu_req_type as Type } from "../../src/images/gen/rpc_pb.ts";
import { closeFd } from "../../src/sys/file.ts";
import { makePair } from "../../src/sys/packet-socket.ts";
import { makePipe } from "../../src/sys/pipe.ts";
import { describeAsRoot } from "../as-root.ts";
import { Pki } from "../pages/pki.ts";
import { CRIU, isAlive, makeImagesDir, type Opts, startTarget, startWorker } from "./client.ts";

/** Answers to a notification. */
const ACK = Uint8Array.of(8, Type.NOTIFY, 24, 1);
const NACK = Uint8Array.of(8, Type.NOTIFY, 24, 0);

describeAsRoot("a page server by RPC", () => {
	let pki: Pki;

	beforeAll(() => {
		pki = new Pki(mkdtempSync(join(tmpdir(), "criu-rpc-tls-")));
		pki.makeAuthority("ca");
		for (const name of ["server", "client"]) pki.issue("ca", name);
	}, 60_000);

	afterAll(() => rmSync(pki.dir, { recursive: true, force: true }));

	/** Options of one side, as a request has them. */
	function secure(isWanted: boolean, name: string) {
		if (!isWanted) return {};
		const file = (name: string) => new TextEncoder().encode(pki.path(name));
		return { tls: true, tlsCacert: file("ca.pem"), tlsCert: file(`${name}.pem`), tlsKey: file(`${name}.key`) };
	}

	/** Starts one; it tells its readiness by a notification and by a byte. */
	function serve(opts: Opts) {
		const client = startWorker();
		const fds = makePipe();
		const status = { statusFd: fds[1], notifyScripts: true, logLevel: 4 };
		const first = client.request(Type.PAGE_SERVER_CHLD, { ...opts, ...status }, { keepOpen: true });
		// Its readiness may be told before the response or after it.
		expect(first?.notify?.script).toBe("status-ready");
		client.send(ACK);
		const started = client.receive();
		expect(started).toMatchObject({ type: Type.PAGE_SERVER, success: true });
		const { pid = 0, port = 0 } = started?.ps ?? {};
		expect(readSync(fds[0], Buffer.alloc(1))).toBe(1);
		for (const fd of fds) closeSync(fd);
		const expectEnd = () =>
			expect(client.request(Type.WAIT_PID, undefined, { pid })).toMatchObject({
				type: Type.WAIT_PID,
				success: true,
				status: 0,
			});
		return { port, expectEnd };
	}

	for (const tls of [false, true]) {
		const how = tls ? "over TLS" : "as it is";
		test(`takes the pages of a dump that is asked for elsewhere, and tells how it ended: ${how}`, async () => {
			using images = makeImagesDir();
			using pages = makeImagesDir();
			const target = await startTarget();
			try {
				const { port, expectEnd } = serve({ imagesDirFd: pages.fd, ...secure(tls, "server") });
				const ps = { address: "127.0.0.1", port };
				const opts = { imagesDirFd: images.fd, pid: target.pid, ps, ...secure(tls, "client") };
				expect(startWorker().request(Type.DUMP, opts)).toMatchObject({ success: true });
				await target.kill();
				expectEnd();
				expect(existsSync(join(images.dir, `pagemap-${target.pid}.img`))).toBe(false);
				const log = readFileSync(join(pages.dir, "criu.log"), "utf8");
				expect(log).toMatch(/Received [1-9]\d* pages/);
				expect(log.includes("TLS handshake completed")).toBe(tls);
				for (const name of readdirSync(pages.dir))
					if (name.endsWith(".img")) cpSync(join(pages.dir, name), join(images.dir, name));
				expect(startWorker().request(Type.RESTORE, { imagesDirFd: images.fd })).toMatchObject({ success: true });
				process.kill(target.pid, "SIGKILL");
			} finally {
				await target.kill();
			}
		}, 60_000);

		test(`gives the pages of a lazy restore: ${how}`, async () => {
			using images = makeImagesDir();
			using work = makeImagesDir();
			const target = await startTarget();
			try {
				const dump = { imagesDirFd: images.fd, pid: target.pid };
				expect(startWorker().request(Type.DUMP, dump)).toMatchObject({ success: true });
				await target.kill();
				for (const name of readdirSync(images.dir)) cpSync(join(images.dir, name), join(work.dir, name));
				const { port, expectEnd } = serve({ imagesDirFd: images.fd, lazyPages: true, ...secure(tls, "server") });
				const from = ["--page-server", "--address=127.0.0.1", `--port=${port}`];
				const words = [...from, ...(tls ? pki.options("client") : []), "-o", "lazy.log", "-v4"];
				const daemon = Bun.spawnSync([CRIU, "lazy-pages", "-d", "-D", work.dir, "-W", work.dir, ...words]);
				expect(daemon.stderr.toString()).toBe("");
				const restore = { imagesDirFd: work.fd, lazyPages: true };
				expect(startWorker().request(Type.RESTORE, restore)).toMatchObject({ success: true });
				expectEnd();
				expect(isAlive(target.pid)).toBe(true);
				expect(readFileSync(join(images.dir, "criu.log"), "utf8").includes("TLS handshake completed")).toBe(tls);
				process.kill(target.pid, "SIGKILL");
			} finally {
				await target.kill();
			}
		}, 60_000);
	}

	test("outlives its worker, and isn't there when its client doesn't want it", async () => {
		using pages = makeImagesDir();
		const opts = { imagesDirFd: pages.fd, ps: { address: "127.0.0.1" } };
		const first = startWorker();
		const started = first.request(Type.PAGE_SERVER, opts);
		expect(started).toMatchObject({ type: Type.PAGE_SERVER, success: true });
		expect(await first.worker?.exited).toBe(0);
		const { pid = 0, port = 0 } = started?.ps ?? {};
		expect(isAlive(pid)).toBe(true);
		const taken = startWorker().request(Type.PAGE_SERVER, { ...opts, ps: { ...opts.ps, port } });
		expect(taken).toMatchObject({ type: Type.PAGE_SERVER, success: false });
		process.kill(pid, "SIGKILL");
		const second = startWorker();
		expect(second.request(Type.PAGE_SERVER_CHLD, { ...opts, notifyScripts: true })?.type).toBe(Type.NOTIFY);
		second.send(NACK);
		const refused = second.receive();
		expect(refused).toMatchObject({ type: Type.PAGE_SERVER, success: false });
		expect(refused?.crErrmsg).toContain("the client said no at status-ready");
		const [given, theirs] = makePair();
		const third = startWorker({ more: [theirs] });
		expect(
			third.request(Type.PAGE_SERVER_CHLD, { imagesDirFd: pages.fd, ps: { fd: 4 } }, { keepOpen: true }),
		).toMatchObject({
			success: true,
			ps: { port: 0 },
		});
		for (const fd of [given, theirs]) closeFd(fd);
		third.close();
		expect(await third.worker?.exited).toBe(255);
	});
});
