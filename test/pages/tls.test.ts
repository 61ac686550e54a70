// SPDX-License-Identifier: GPL-2.0-only
// Page servers over TLS: with the peer in both roles, and with what mustn't be let through. Whatever happens, the target goes on, and
// where it failed there are no images.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { wrapPeer } from "../matrix/scenario.ts";
import type { Ending } from "../matrix/stage.ts";
import { findPeer } from "../peer.ts";
import { until } from "../until.ts";
import { Churn, criu } from "./churn.ts";
import { Pki } from "./pki.ts";

const TIMEOUT = 300_000;
const PAGES = 300;
const DONE: Ending = { how: "exit", code: 0 };
const FAILED: Ending = { how: "exit", code: 1 };
const SIGKILL = 9;

/** A port for the peer, which takes only such as are named: not one of those that the kernel gives to others. */
function choosePort(): number {
	return 20_000 + Math.floor(Math.random() * 10_000);
}

describeAsRoot("a page server over TLS", () => {
	let churn: Churn;
	let pki: Pki;
	let peer: ReturnType<typeof findPeer>;
	let runs = 0;

	beforeAll(async () => {
		pki = new Pki(mkdtempSync(join(tmpdir(), "tls-test-")));
		for (const authority of ["ca", "other"]) pki.makeAuthority(authority);
		for (const name of ["server", "client", "revoked"]) pki.issue("ca", name);
		pki.issue("ca", "old", "expired");
		pki.issue("ca", "elsewhere", "valid", "others");
		pki.issue("other", "stranger");
		pki.issue("other", "unknown", "valid", "others");
		pki.revoke("ca", "revoked");
		// What it says of this machine the stage has to know.
		peer = findPeer();
		churn = await Churn.start(PAGES);
	}, 120_000);

	afterAll(async () => {
		await churn?.[Symbol.asyncDispose]();
		rmSync(pki.dir, { recursive: true, force: true });
	}, 60_000);

	/** Starts a page server; waits until it listens. */
	async function serve(program: string, options: readonly string[], parent?: string) {
		const pages = churn.makeImages();
		if (parent !== undefined) symlinkSync(`../${basename(parent)}`, join(pages, "parent"));
		const log = join(churn.dir, `server${runs++}.log`);
		const chosen = program === criu ? undefined : choosePort();
		const words = ["page-server", ...options, "--address=127.0.0.1"];
		if (chosen !== undefined) words.push(`--port=${chosen}`);
		const files = ["-D", pages, "-W", churn.dir, "-o", basename(log), "-v4"];
		const ended = churn.stage.run(`${log}.out`, churn.dir, [program, ...words, ...files]);
		const read = () => (existsSync(log) ? readFileSync(log, "latin1") : "");
		const port = await until(`${program} to listen`, () => {
			if (chosen !== undefined) return read().includes("Running status-ready") ? chosen : undefined;
			const found = /Listening on .*, port (\d+)\n/.exec(read())?.[1];
			return found === undefined ? undefined : Number(found);
		});
		return { pages, port, ended, read };
	}

	type Server = Awaited<ReturnType<typeof serve>>;

	/** A pre-dump by ours, a dump that leaves it running by another program. */
	async function send(program: string, { port }: Server, options: readonly string[], before?: string, fault?: string) {
		const images = churn.makeImages();
		const to = ["--page-server", "--address=127.0.0.1", `--port=${port}`, "-v4", ...options];
		if (program === criu)
			return { images, ...(await churn.criu(churn.arguments("pre-dump", images, before, ...to), fault)) };
		const output = join(churn.dir, `client${runs}.log`);
		const words = churn.arguments("dump", images, undefined, "-R", "-j", ...to, "-W", churn.dir, "-o", output);
		const ending = await churn.stage.run(`${output}.out`, churn.dir, [program, ...words]);
		return { images, ending, output: readFileSync(output, "latin1") };
	}

	/** One that fails: what both sides say. */
	async function expectRefusal(
		ofServer: readonly string[],
		ofClient: readonly string[],
		client: RegExp,
		server: RegExp,
	) {
		const serving = await serve(criu, ofServer);
		const { ending, output, images } = await send(criu, serving, ofClient);
		expect(output).toMatch(client);
		expect(ending).toEqual(FAILED);
		expect(await serving.ended).toEqual(FAILED);
		expect(serving.read()).toMatch(server);
		expect(readdirSync(serving.pages)).toEqual([]);
		expect(readdirSync(images)).not.toContain("inventory.img");
	}

	test.each([
		["ours", "ours"],
		["ours", "the peer's"],
		["the peer's", "ours"],
	])(
		"%s takes what %s sends",
		async (receiver, sender) => {
			if ("missing" in peer && receiver + sender !== "oursours") {
				console.log(`(skipped: ${peer.missing})`);
				return;
			}
			const theirs = "missing" in peer ? criu : await wrapPeer(peer.criu);
			const serving = await serve(receiver === "ours" ? criu : theirs, pki.options("server"));
			const { ending, output } = await send(sender === "ours" ? criu : theirs, serving, pki.options("client"));
			expect({ ending, output: ending.code === 0 ? "" : output }).toEqual({ ending: DONE, output: "" });
			expect(await serving.ended).toEqual(DONE);
			expect(serving.read()).toContain("TLS handshake completed");
			churn.checkImages(serving.pages);
			await churn.expectIntact("an encrypted dump");
		},
		TIMEOUT,
	);

	const REJECTED = /closed the connection after the TLS handshake.*certificate|connection .* was cut/;
	const CERTIFICATE = /\[TLS_CERTIFICATE\]/;

	test.each([
		["a client of another authority", [], "stranger", REJECTED, /no authority that we trust.*\[TLS_CERTIFICATE\]/],
		["an expired client", [], "old", REJECTED, /it has expired.*\[TLS_CERTIFICATE\]/],
		["a revoked client", ["ca.crl"], "revoked", REJECTED, /it is revoked.*\[TLS_CERTIFICATE\]/],
		[
			"a client that's another host",
			[],
			"elsewhere",
			REJECTED,
			/is for DNS:elsewhere.example, not for 127.0.0.1.*\[TLS_NAME\]/,
		],
	] as const)(
		"refuses %s",
		async (_who, lists, name, client, server) => {
			const revoked = lists.map((file) => `--tls-cacrl=${pki.path(file)}`);
			await expectRefusal([...pki.options("server"), ...revoked], pki.options(name), client, server);
		},
		TIMEOUT,
	);

	test.each([
		["a server of another authority", "stranger", CERTIFICATE],
		["a server that's another host", "elsewhere", /\[TLS_NAME\].*--tls-no-cn-verify|--tls-no-cn-verify.*\[TLS_NAME\]/],
	] as const)(
		"isn't sent anything when it is %s",
		async (_who, name, client) => {
			await expectRefusal(pki.options(name), pki.options("client"), client, /\[(TLS_HANDSHAKE|PAGE_CONNECTION)\]/);
		},
		TIMEOUT,
	);

	test(
		"may be another host's with --tls-no-cn-verify",
		async () => {
			const lax = ["--tls-no-cn-verify", `--tls-cacrl=${pki.path("ca.crl")}`];
			const serving = await serve(criu, [...pki.options("elsewhere"), ...lax]);
			const { ending } = await send(criu, serving, [...pki.options("elsewhere"), ...lax]);
			expect([ending, await serving.ended]).toEqual([DONE, DONE]);
			churn.checkImages(serving.pages);
		},
		TIMEOUT,
	);

	test(
		"and one without it don't get along",
		async () => {
			const plain = await serve(criu, []);
			const refused = await send(criu, plain, pki.options("client"));
			expect(refused.output).toContain("[TLS_HANDSHAKE]");
			expect([refused.ending, await plain.ended]).toEqual([FAILED, FAILED]);
			const encrypted = await serve(criu, pki.options("server"));
			expect((await send(criu, encrypted, [])).ending).toEqual(FAILED);
			expect(await encrypted.ended).toEqual(FAILED);
			expect(encrypted.read()).toContain("[TLS_HANDSHAKE]");
			expect(readdirSync(encrypted.pages)).toEqual([]);
		},
		TIMEOUT,
	);

	test(
		"has to be known even where names don't matter",
		async () => {
			const serving = await serve(criu, pki.options("unknown"));
			const { ending, output } = await send(criu, serving, [...pki.options("client"), "--tls-no-cn-verify"]);
			expect(output).toContain("no authority that we trust");
			expect([ending, await serving.ended]).toEqual([FAILED, FAILED]);
		},
		TIMEOUT,
	);

	test.each([
		["nothing", new Uint8Array(0)],
		["half a greeting", Uint8Array.of(0x16, 3, 1, 1, 0, 1)],
		["garbage", new Uint8Array(4096).fill(0xa5)],
	])(
		"fails when it's sent %s",
		async (_what, bytes) => {
			const { port, ended, read, pages } = await serve(criu, pki.options("server"));
			const socket = connect(port, "127.0.0.1");
			socket.on("error", () => {});
			socket.end(bytes);
			socket.resume();
			expect(await ended).toEqual(FAILED);
			socket.destroy();
			expect(read()).toContain("[TLS_HANDSHAKE]");
			expect(readdirSync(pages)).toEqual([]);
		},
		TIMEOUT,
	);

	test(
		"knows whether a dump is whole: only then pages are freed in older images",
		async () => {
			const [ofServer, ofClient] = [["--auto-dedup", ...pki.options("server")], pki.options("client")];
			const first = await serve(criu, ofServer);
			const whole = await send(criu, first, ofClient);
			expect([whole.ending, await first.ended]).toEqual([DONE, DONE]);
			await churn.command("write", 20);
			const second = await serve(criu, ofServer, first.pages);
			const killed = await send(criu, second, ofClient, whole.images, "pre-dump:tracked:kill");
			expect(killed.ending).toEqual({ how: "signal", code: SIGKILL });
			expect(await second.ended).toEqual(DONE);
			expect(second.read()).toContain("nothing is freed in older images");
			churn.checkImages(second.pages);
			await churn.command("write", 20);
			const third = await serve(criu, ofServer, first.pages);
			const last = await send(criu, third, ofClient, whole.images);
			expect([last.ending, await third.ended]).toEqual([DONE, DONE]);
			expect(third.read()).toMatch(/[1-9]\d* pages freed in older images/);
			churn.checkImages(third.pages);
			await churn.expectIntact("encrypted pre-dumps");
		},
		TIMEOUT,
	);

	test(
		"needs its files, whole and belonging together, before it begins",
		async () => {
			const empty = pki.path("empty.pem");
			writeFileSync(empty, "no certificate\n");
			const damaged = pki.path("damaged.pem");
			writeFileSync(damaged, readFileSync(pki.path("ca.pem"), "latin1").replace(/\n.{8}/, "\nAAAAAAAA"));
			const cases: [string[], RegExp][] = [
				[["--tls-key", pki.path("server.key")], /the key in .*server.key isn't that of the certificate/],
				[["--tls-key", empty], /there is no usable key in .*empty.pem/],
				[["--tls-cert", pki.path("none")], /our certificate .*none can't be read/],
				[["--tls-cacert", empty], /there is no certificate in .*empty.pem/],
				[["--tls-cacert", damaged], /certificate 1 of .*damaged.pem is damaged/],
				[["--tls-cacrl", pki.path("none.crl")], /revoked certificates .*none.crl can't be read/],
			];
			const to = ["--page-server", "--address=127.0.0.1", "--port=1"];
			for (const [words, message] of cases) {
				const images = churn.makeImages();
				const args = churn.arguments("pre-dump", images, undefined, ...to, ...pki.options("client"), ...words);
				const { ending, output } = await churn.criu(args);
				expect(output).toMatch(message);
				expect(output).toContain("[TLS_FILE]");
				expect(ending).toEqual(FAILED);
			}
			await churn.expectIntact("refused files");
		},
		TIMEOUT,
	);
});
