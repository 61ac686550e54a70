// SPDX-License-Identifier: GPL-2.0-only
// Lazy memory from elsewhere: whole, slow, cut off, hostile; and daemons that die. A program that lacks pages passes its own check
// or ends: it never goes on with others.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as wire from "../../../src/pages/wire.ts";
import { describeAsRoot } from "../../as-root.ts";
import { buildScenario, buildStage, listScenarios, wrapPeer } from "../../matrix/scenario.ts";
import { type Ending, Stage } from "../../matrix/stage.ts";
import { listOthers, waitForNone } from "../../matrix/tree.ts";
import { ourCriu } from "../../matrix.ts";
import { findPeer } from "../../peer.ts";
import { Pki } from "../pki.ts";
import { Lender, type Manner } from "./lender.ts";

const criu = ourCriu();
const SIGKILL = 9;
const SIGTERM = 15;
const KILLED: Ending = { how: "signal", code: SIGKILL };
const WELL: Ending = { how: "exit", code: 0 };
const FAILED: Ending = { how: "exit", code: 1 };

describeAsRoot("lazy memory", () => {
	let dir: string;
	let stage: Stage;
	let pki: Pki;
	let pid: number;
	let runs = 0;

	/** A file of this test. */
	const at = (name: string) => join(dir, name);
	const read = (name: string) => (existsSync(at(name)) ? readFileSync(at(name), "latin1") : "");
	const lastLine = () => read("out").trimEnd().split("\n").pop() ?? "";
	const openStage = async () => Stage.open({ program: await buildStage(), log: at("stage.log") });

	beforeAll(async () => {
		dir = mkdtempSync(join(tmpdir(), "lazy-test-"));
		mkdirSync(at("images"));
		pki = new Pki(at("pki"));
		pki.makeAuthority("ca");
		for (const name of ["server", "client"]) pki.issue("ca", name);
		stage = await openStage();
		const scenario = listScenarios().find(({ name }) => name === "lazy_memory");
		if (scenario === undefined) throw new Error("no scenario lazy_memory");
		pid = await stage.start(at("out"), dir, [await buildScenario(scenario), at("out")]);
		await stage.ready(pid);
		expect(await run("dump", "-t", String(pid), "-D", at("images"), "-o", at("dump.log"))).toEqual(WELL);
		expect(await stage.died(pid)).toEqual(KILLED);
	}, 120_000);

	afterAll(async () => {
		await stage?.close();
		rmSync(dir, { recursive: true, force: true });
	}, 60_000);

	const runOn = (where: Stage, program: string, ...args: string[]) =>
		where.run(at("criu.out"), dir, [program, ...args]);
	const run = (...args: string[]) => runOn(stage, criu, ...args);

	/** A daemon that listens; its work directory, its pid. */
	async function startDaemon(where: Stage, program: string, port: number | undefined, more: readonly string[] = []) {
		const work = at(`work${++runs}`);
		mkdirSync(work);
		const remote = port === undefined ? [] : ["--page-server", "--address", "127.0.0.1", "--port", String(port)];
		const background = ["-d", "--pidfile", join(work, "pid"), "-o", join(work, "lazy.log"), "-v4"];
		const args = ["lazy-pages", "-D", at("images"), "-W", work, ...background, ...remote, ...more];
		expect(await runOn(where, program, ...args)).toEqual(WELL);
		return { work, daemon: Number(readFileSync(join(work, "pid"), "latin1")), log: `work${runs}/lazy.log` };
	}

	const restoreArgs = (work: string) => [
		...["restore", "-d", "--lazy-pages", "-D", at("images"), "-W", work],
		...["-o", join(work, "restore.log"), "-v4"],
	];

	async function expectNothingLeft(): Promise<void> {
		const proc = stage.procPath(1).replace(/\/1$/, "");
		expect(await waitForNone(() => listOthers(proc), 60_000)).toEqual([]);
	}

	/** Lets the program check its memory while it comes from a page server with these manners. */
	async function checkWith(manner: Manner) {
		const lender = new Lender(at("images"), manner);
		try {
			const { work, daemon, log } = await startDaemon(stage, criu, lender.port);
			const restored = await runOn(stage, criu, ...restoreArgs(work));
			if (restored.code === 0) await stage.kill(pid, SIGTERM);
			const ended = restored.code === 0 ? await stage.died(pid) : undefined;
			const daemonEnded = await stage.died(daemon);
			await expectNothingLeft();
			return { restored, ended, daemonEnded, log: read(log), closed: lender.closed };
		} finally {
			lender.close();
		}
	}

	test("comes from a slow page server that gives little at a time", async () => {
		const done = await checkWith({ delayMs: 1, atMost: 8n });
		expect({ ...done, log: "" }).toEqual({ restored: WELL, ended: WELL, daemonEnded: WELL, log: "", closed: true });
		expect(lastLine()).toBe("PASS");
		expect(done.log).toContain("Lazy pages transfer finished successfully");
	}, 240_000);

	test.each([
		["in its first answer", 7],
		["in a header", 4 + 10],
		["before a page", 4 + wire.SHORT_HEADER],
		["in a page", 300_001],
		["between answers", 4 + (wire.SHORT_HEADER + 65536) * 8],
	])(
		"ends programs when the connection is cut %s",
		async (_where, cutAfter) => {
			const done = await checkWith({ cutAfter, atMost: 16n });
			expect(done.daemonEnded).toEqual(FAILED);
			expect(done.log).toContain("[PAGE_CONNECTION]");
			if (done.restored.code === 0) expect(done.ended).toEqual(KILLED);
			else expect(done.restored).toEqual(FAILED);
		},
		120_000,
	);

	test.each([
		["other pages", () => ({ address: 0x10000n })],
		["more pages than asked for", () => ({ pages: 1n << 31n })],
		["no pages", () => ({ pages: 0n })],
		["another process's pages", () => ({ target: 77n })],
		["another command", () => ({ command: wire.PS_OPEN2 })],
		["pages that are elsewhere", () => ({ flags: 1 })],
	] as const)(
		"ends programs when the page server gives %s",
		async (_what, twist) => {
			const done = await checkWith({ twist });
			expect(done.daemonEnded).toEqual(FAILED);
			expect(done.log).toContain("[PAGE_STREAM]");
			if (done.restored.code === 0) expect(done.ended).toEqual(KILLED);
		},
		120_000,
	);

	test("ends programs, forked ones too, when the daemon is killed", async () => {
		const lender = new Lender(at("images"), { stallAfter: 700, atMost: 16n });
		try {
			writeFileSync(at("out"), "READY\n");
			const { work, daemon } = await startDaemon(stage, criu, lender.port);
			expect(await runOn(stage, criu, ...restoreArgs(work))).toEqual(WELL);
			await stage.kill(pid, SIGTERM);
			while (lender.given < 700) await Bun.sleep(1);
			// With its process group: what kills the programs isn't in it.
			await stage.kill(-daemon, SIGKILL);
			expect(await stage.died(daemon)).toEqual(KILLED);
			expect(await stage.died(pid)).toEqual(KILLED);
			await expectNothingLeft();
			expect(lastLine()).toBe("READY");
		} finally {
			lender.close();
		}
	}, 120_000);

	test("isn't promised where no daemon listens", async () => {
		mkdirSync(at("nobody"));
		expect(await run(...restoreArgs(at("nobody")))).toEqual(FAILED);
		expect(read("nobody/restore.log")).toContain("[NO_LAZY_DAEMON]");
		await expectNothingLeft();
	}, 120_000);

	test.each([
		["nothing", []],
		["half a word", [1, 2]],
		["a pid without memory", [7, 0, 0, 0, 0]],
		["pid 0", [0, 0, 0, 0]],
		["another word at the end", [0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]],
	])(
		"isn't brought to a restore that says %s",
		async (_what, bytes) => {
			const { work, daemon, log } = await startDaemon(stage, criu, undefined);
			const socket = connect(join(work, "lazy-pages.socket"));
			socket.on("error", () => {});
			socket.end(Uint8Array.from(bytes));
			expect(await stage.died(daemon)).toEqual(FAILED);
			expect(read(log)).toContain("[LAZY_RESTORE]");
			socket.destroy();
		},
		60_000,
	);

	/** Starts what gives pages, and waits until it listens; its port. */
	async function startGiver(args: string[], log: string): Promise<{ ended: Promise<Ending>; port: number }> {
		const ended = run(...args, "-o", at(log), "-v4");
		for (;;) {
			const port = /port (\d+)$/m.exec(read(log))?.[1];
			if (port !== undefined) return { ended, port: Number(port) };
			await Bun.sleep(2);
		}
	}

	/** The program, come back in another place, checks itself with memory from `port`. */
	async function checkElsewhere(port: number, program: string, ...more: string[]): Promise<void> {
		const other = await openStage();
		try {
			writeFileSync(at("out"), "READY\n");
			const { work, daemon } = await startDaemon(other, program, port, more);
			expect(await runOn(other, program, ...restoreArgs(work))).toEqual(WELL);
			await other.kill(pid, SIGTERM);
			expect(await other.died(pid)).toEqual(WELL);
			expect(lastLine()).toBe("PASS");
			expect(await other.died(daemon)).toEqual(WELL);
		} finally {
			await other.close();
		}
	}

	test("comes from images elsewhere", async () => {
		const { ended, port } = await startGiver(["page-server", "--lazy-pages", "-D", at("images")], "server.log");
		await checkElsewhere(port, criu);
		expect(await ended).toEqual(WELL);
	}, 120_000);

	test("comes from images elsewhere to the peer's daemon", async () => {
		const peer = findPeer();
		if ("missing" in peer) {
			console.log(`(skipped: ${peer.missing})`);
			return;
		}
		const { ended, port } = await startGiver(["page-server", "--lazy-pages", "-D", at("images")], "server2.log");
		await checkElsewhere(port, await wrapPeer(peer.criu));
		expect(await ended).toEqual(WELL);
	}, 120_000);

	test("comes over TLS from images elsewhere", async () => {
		const give = ["page-server", "--lazy-pages", "-D", at("images"), ...pki.options("server")];
		const { ended, port } = await startGiver(give, "tls.log");
		await checkElsewhere(port, criu, ...pki.options("client"));
		expect(await ended).toEqual(WELL);
		expect(read("tls.log")).toContain("TLS handshake completed");
	}, 240_000);

	test("stays in a program that goes on when the other side is gone, and goes along when that has it all", async () => {
		expect(await run("restore", "-d", "-D", at("images"), "-o", at("restore.log"))).toEqual(WELL);
		rmSync(at("images"), { recursive: true });
		mkdirSync(at("images"));
		const args = ["dump", "-t", String(pid), "--lazy-pages", "-D", at("images")];
		const first = await startGiver(args, "dump1.log");
		const socket = connect(first.port, "127.0.0.1");
		socket.on("error", () => {});
		// A question for one page, and the beginning of another one.
		const question = new Uint8Array(wire.SHORT_HEADER + 5);
		wire.writeHeader(new DataView(question.buffer), 0, wire.SHORT_HEADER, { command: wire.PS_CLOSE + 9, target: 1n });
		socket.end(question);
		expect(await first.ended).toEqual(FAILED);
		socket.destroy();
		const second = await startGiver([...args, ...pki.options("server")], "dump2.log");
		await checkElsewhere(second.port, criu, ...pki.options("client"));
		expect(await second.ended).toEqual(WELL);
		expect(await stage.died(pid)).toEqual(KILLED);
		expect(read("dump2.log")).toContain("Gave ");
		await expectNothingLeft();
	}, 240_000);
});
