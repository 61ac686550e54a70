// SPDX-License-Identifier: GPL-2.0-only
// Every image that the peer writes is read and written back byte for byte.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir } from "../../src/images/index.ts";
import { findPeer } from "../peer.ts";
import { buildTargets, dumpWithPeer } from "./peer.ts";
import { rewriteImage } from "./rewrite.ts";

const UNSHARE = ["unshare", "-p", "-m", "-n", "-i", "-u", "-f", "--mount-proc"];

/** Mode, options of the dump, and images that must be among those written. */
const TARGETS: [mode: string, options: string[], images: string[]][] = [
	["plain", [], ["inventory.img", "files.img", "stats-dump"]],
	["pipes", [], ["pipes-data.img", "fifo-data.img"]],
	["unix", [], ["sk-queues.img"]],
	["inet", ["--tcp-established", "--network-lock", "skip"], []],
	["netlink", [], []],
	["packet", [], []],
	["events", [], []],
	["threads", [], []],
	["signals", [], []],
	["pty", [], ["tty-info.img", "tty-data.img"]],
	["memory", [], ["memfd.img", "ghost-file-1.img", "ghost-file-2.img"]],
	["mappings", [], []],
	["tree", [], ["pstree.img"]],
	["locks", ["--file-locks"], ["filelocks.img"]],
	["seccomp", [], ["seccomp.img"]],
	["ns", ["--network-lock", "skip"], []],
];

/** The peer refuses some programs on some kernels; fewer than this many dumps prove too little. */
const MIN_DUMPS = 10;

const peer = findPeer();
if ("missing" in peer) console.log(`skipped: images/interop.test.ts: ${peer.missing}`);

describe.skipIf("missing" in peer)("images of the peer", () => {
	const root = mkdtempSync(join(tmpdir(), "criu-interop-"));
	let program = "";
	let dumps = 0;
	beforeAll(() => {
		program = buildTargets(root);
	});
	afterAll(() => {
		rmSync(root, { recursive: true, force: true });
		expect(dumps).toBeGreaterThanOrEqual(MIN_DUMPS);
	});

	test.each(TARGETS)("of %s are written back byte for byte", async (mode, options, wanted) => {
		if ("missing" in peer) return;
		const dir = join(root, mode);
		mkdirSync(dir);
		const wrapper = mode === "ns" ? UNSHARE : [];
		const dump = await dumpWithPeer({ criu: peer.criu, program, mode, dir, options, wrapper });
		if ("why" in dump) {
			console.log(`skipped: the peer does not dump ${mode} here: ${dump.why}`);
			return;
		}
		dumps++;
		const copy = join(dir, "copy");
		mkdirSync(copy);
		using from = ImageDir.open(dump.images);
		using to = ImageDir.open(copy);
		from.readInventory();
		const names = from.list().filter((name) => rewriteImage(from, to, name) !== undefined);
		expect(to.list()).toEqual(names);
		expect(from.list().filter((name) => !names.includes(name))).toEqual(["dump.log"]);
		expect(names).toEqual(expect.arrayContaining(wanted));
		for (const name of names) {
			const original = readFileSync(join(dump.images, name));
			expect(readFileSync(join(copy, name)).equals(original), name).toBe(true);
		}
	});
});
