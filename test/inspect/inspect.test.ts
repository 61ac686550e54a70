// SPDX-License-Identifier: GPL-2.0-only
// `criu inspect` of a real dump: text, JSON, and the page, also in a browser where there's one. Names in it are hostile.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Inspection } from "../../src/inspect/model.ts";
import { toPage } from "../../src/inspect/page.ts";
import { inspectFolder } from "../../src/inspect/read.ts";
import { toJson, toText } from "../../src/inspect/text.ts";
import { Browser, lackOfBrowser } from "./browser.ts";

const CRIU = process.env["CRIU_BIN"] ?? join(import.meta.dir, "../../dist/criu");
const EVIL = "</title><script>alert(1)</script>";
const NAME = `<img src=x onerror=alert(1)>\x1b[31m"'\u202e`;
const dir = mkdtempSync(join(tmpdir(), "inspect-"));
const images = join(dir, "images");
let inspection: Inspection;
let program: Bun.Subprocess | undefined;

const PROGRAM = `
import socket, sys, os, signal, tempfile
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen(1)
pair = socket.socketpair()
named = open(sys.argv[1], "w")
gone = tempfile.TemporaryFile(dir=os.path.dirname(sys.argv[1])); gone.write(b"x" * 70000); gone.flush()
memory = bytearray(8 << 20)
told, tell = os.pipe()
if os.fork() == 0:
    os.dup2(0, 1)
    os.write(tell, b"x")
else:
    os.read(told, 1)
    os.write(1, b"ready\\n")
    os.dup2(0, 1)
signal.pause()
`;

beforeAll(async () => {
	mkdirSync(images);
	const argv = ["setsid", "/usr/bin/python3", "-c", PROGRAM, join(dir, NAME), EVIL];
	const log = Bun.file(join(dir, "err"));
	const child = Bun.spawn(argv, { stdin: Bun.file("/dev/null"), stdout: "pipe", stderr: log });
	program = child;
	// Its end of the stream is closed when it has all been read.
	expect(await new Response(child.stdout).text()).toBe("ready\n");
	const dump = Bun.spawnSync([CRIU, "dump", "-t", String(child.pid), "-D", images, "-o", "log"]);
	expect(dump.stderr.toString()).toBe("");
	await child.exited;
	inspection = inspectFolder(images);
}, 120_000);
afterAll(() => {
	program?.kill("SIGKILL");
	rmSync(dir, { recursive: true, force: true });
});

describe("inspect", () => {
	test("knows the processes with their arguments, memory and files", () => {
		const [root, child] = inspection.processes;
		expect(inspection).toMatchObject({ format: 1, kind: "dump", damaged: [], has_parent: false });
		expect(root?.arguments.at(-1)).toBe(EVIL);
		expect(child).toMatchObject({ ppid: root?.pid, state: "running", sid: root?.pid });
		expect(root?.memory.in_images).toBeGreaterThan(8 << 20);
		expect(root?.memory.in_images).toBe(root?.mappings.reduce((sum, each) => sum + each.in_images, 0) ?? -1);
		expect(root?.files.map(({ name }) => name)).toContain(join(dir, NAME));
		expect(inspection.ghost_files).toMatchObject([{ bytes: 70000 }]);
		const listening = inspection.sockets.filter(({ state }) => state === "LISTEN");
		expect(listening.map(({ pid, family }) => [pid, family])).toEqual([
			[root?.pid ?? 0, "tcp"],
			[child?.pid ?? 0, "tcp"],
		]);
		expect(listening[0]?.local).toMatch(/^127\.0\.0\.1:\d+$/);
		expect(inspection.timing?.stages.length).toBeGreaterThan(3);
		expect(inspection.size.memory).toBeLessThan(inspection.size.total);
	});

	test("gives the same as text and as JSON, without anything that moves a cursor", () => {
		expect(JSON.parse(toJson(inspection))).toEqual(inspection);
		const text = toText(inspection);
		expect(text).toContain("python3 -c ");
		const moving = [...`${text}${toJson(inspection)}`].filter((c) => /[\p{Cc}\u202e]/u.test(c) && !"\n\t".includes(c));
		expect(moving).toEqual([]);
	});

	test("tells what is missing on this host", () => {
		rmSync(join(dir, NAME));
		const { host } = inspectFolder(images);
		expect(host.can_restore).toBe(false);
		expect(host.problems.map(({ code }) => code)).toContain("FILE_MISSING");
	});

	test("shows what is left of damaged images", () => {
		for (const [turn, name] of readdirSync(images).entries()) {
			if (!/^(?:core|mm|files|pagemap|fdinfo|pstree|fs|ids|stats|ghost)/.test(name)) continue;
			const copy = join(dir, `damaged-${turn}`);
			cpSync(images, copy, { recursive: true });
			truncateSync(join(copy, name), Math.floor(Bun.file(join(copy, name)).size / 2));
			const found = inspectFolder(copy);
			expect(found.damaged.length > 0 || found.ghost_files.length > 0).toBe(true);
			expect(toText(found)).toContain("RESTORE");
			expect(toPage(found)).toEndWith("</html>\n");
			rmSync(copy, { recursive: true });
		}
	});

	test("tells an unfinished dump from a finished one, and no images from both", () => {
		const copy = join(dir, "unfinished");
		cpSync(images, copy, { recursive: true });
		rmSync(join(copy, "inventory.img"));
		expect(inspectFolder(copy)).toMatchObject({ kind: "unfinished", host: { can_restore: false } });
		const empty = join(dir, "empty");
		mkdirSync(empty);
		copyFileSync(join(images, "log"), join(empty, "log"));
		expect(() => inspectFolder(empty)).toThrow("no images in");
	});

	test("is a command, needs no privileges, writes a page", () => {
		const page = join(dir, "page.html");
		const run = (...args: string[]) => Bun.spawnSync([CRIU, "inspect", ...args]);
		expect(JSON.parse(run(images, "--json").stdout.toString()).processes.length).toBe(2);
		expect(run("-D", images).stdout.toString()).toStartWith("Complete dump in ");
		expect(run(images, "--html", page).exitCode).toBe(0);
		expect(readFileSync(page, "utf8")).toStartWith("<!DOCTYPE html>");
		expect(run(images, "--html", page, "--json").exitCode).toBe(1);
	});
});

describe("the page", () => {
	test("holds no markup of the dump's, and loads nothing", () => {
		const page = toPage(inspection);
		expect(page).not.toMatch(/<script|<img|javascript:|https?:|url\(/i);
		expect(page).toContain("default-src 'none'");
		expect(page).toContain("&lt;img src=x onerror=alert(1)&gt;\\x1b[31m&quot;&#39;\\u202e");
		expect(page.length).toBeLessThan(400_000);
	});

	const lack = lackOfBrowser();
	test.skipIf(lack !== undefined)(
		`fits a phone and paper, light and dark, in a browser${lack === undefined ? "" : ` (skipped: ${lack})`}`,
		async () => {
			const path = join(dir, "shown.html");
			await Bun.write(path, toPage(inspection));
			await using browser = await Browser.open(path);
			expect(await browser.evaluate("document.title")).toContain("Dump of");
			expect(await browser.evaluate("document.querySelectorAll('script,img,iframe,object').length")).toBe(0);
			expect(await browser.evaluate("document.querySelectorAll('svg.map').length")).toBe(2);
			for (const [width, media, scheme] of [
				[360, "screen", "light"],
				[360, "screen", "dark"],
				[794, "print", "dark"],
				[1200, "screen", "dark"],
			] as const) {
				await browser.setMedia(width, media, scheme);
				const isDark = media === "screen" && scheme === "dark";
				expect(await browser.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
				expect(await browser.evaluate("getComputedStyle(document.body).backgroundColor")).toBe(
					isDark ? "rgb(20, 23, 28)" : "rgb(255, 255, 255)",
				);
				// Mappings stand in folded details, which paper has to show.
				const shown = await browser.evaluate("document.querySelector('details details table').checkVisibility()");
				expect(shown).toBe(media === "print");
				const outside =
					"[...document.querySelectorAll('h1,h2,td,summary,.map')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).length";
				expect(await browser.evaluate(outside)).toBe(0);
			}
			expect(browser.requests).toEqual([`file://${path}`]);
		},
		120_000,
	);
});
