// SPDX-License-Identifier: GPL-2.0-only
// Pids, directories and images that no dump or restore can do anything with, beyond those of refused-input.test.ts: every
// image cut at any place or with forged sizes, foreign ones, and what must not be touched or left behind.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readImages } from "../../src/engine/images.ts";
import { planRestore } from "../../src/engine/restore.ts";
import { CriuError } from "../../src/errors.ts";
import { core_entry_march } from "../../src/images/gen/core_pb.ts";
import { ImageDir, KINDS } from "../../src/images/index.ts";
import { defaultOptions } from "../../src/options.ts";
import { describeAsRoot } from "../as-root.ts";
import { Counter, CRIU, criu, expectRefusal, isRoot } from "./counter.ts";

let dir: string;
let images: string;
let counter: Counter;

beforeAll(async () => {
	dir = mkdtempSync(join(tmpdir(), "criu-bad-input-"));
	images = join(dir, "images");
	mkdirSync(images);
	if (!isRoot) return;
	counter = new Counter();
	await counter.counts(0);
	expect(criu("dump", "-t", String(counter.pid), "-R", "-D", images, "-o", "/dev/null").code).toBe(0);
});

afterAll(async () => {
	await counter?.[Symbol.asyncDispose]();
	rmSync(dir, { recursive: true, force: true });
});

let copies = 0;

/** A copy of the images, with one of them changed. */
function damage(name?: string, change?: (bytes: Buffer) => Uint8Array): string {
	const to = join(dir, `damaged${copies++}`);
	cpSync(images, to, { recursive: true });
	if (name !== undefined && change !== undefined) writeFileSync(join(to, name), change(readFileSync(join(to, name))));
	return to;
}

/** The code of the error that planning a restore gives; "none" where there is none. */
function codeOf(imagesDir: string): string {
	try {
		planRestore({ ...defaultOptions(), imagesDir, workDir: imagesDir });
		return "none";
	} catch (error) {
		if (error instanceof CriuError) return error.code;
		throw error;
	}
}

/** All images that a restore of the counter reads as messages. */
const imageNames = () => readdirSync(images).filter((name) => name.endsWith(".img") && !/^(pages-|seccomp)/.test(name));

describeAsRoot("dump refuses", () => {
	const dump = (pid: number | string) => criu("dump", "-t", String(pid), "-D", dir, "-o", "/dev/null");

	test("criu itself", () => {
		const script = 'exec "$1" dump -t $$ -D "$2" -o /dev/null';
		const run = Bun.spawnSync(["sh", "-c", script, "sh", CRIU, dir], { stdin: "ignore", timeout: 60_000 });
		const result = { code: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() };
		expectRefusal(result, `pid ${run.pid} is criu itself`);
	});

	test("a process that has just been reaped", async () => {
		const child = Bun.spawn(["true"]);
		await child.exited;
		expectRefusal(dump(child.pid), "doesn't exist");
	});

	test("a thread that isn't the leader of its process, which runs on", async () => {
		const program = [
			"import threading,time",
			"t=threading.Thread(target=time.sleep,args=(99,),daemon=True)",
			"t.start()",
			"print(t.native_id,flush=True)",
			"time.sleep(99)",
		].join("\n");
		const child = Bun.spawn(["python3", "-c", program], { stdout: "pipe" });
		const { value } = await child.stdout.getReader().read();
		const tid = Number(new TextDecoder().decode(value));
		const run = dump(tid);
		const after = readFileSync(`/proc/${tid}/stat`, "latin1");
		child.kill("SIGKILL");
		await child.exited;
		expect(run.code).toBe(1);
		expect(run.err).toMatch(/^error: /);
		expect(run.err).toContain(String(tid));
		expect(after).not.toMatch(/\) [tTZX] /);
	});

	test.each(["0", "-5", "abc", "99999999999", "1.5", ""])("the pid %p", (pid) =>
		expectRefusal(dump(pid), `invalid argument for -t: ${pid}`),
	);

	test("all of that without writing an image", () => {
		expect(readdirSync(dir).filter((name) => !/^(images|damaged)/.test(name))).toEqual([]);
	});
});

describeAsRoot("a directory that holds images of another pid", () => {
	test("holds a whole dump of the new one afterwards", async () => {
		const to = damage();
		await using other = new Counter();
		await other.counts(0);
		expect(criu("dump", "-t", String(other.pid), "-R", "-D", to, "-o", "/dev/null").code).toBe(0);
		using opened = ImageDir.open(to);
		expect(readImages(opened).root.pstree.pid).toBe(other.pid);
		expect(criu("restore", "--dry-run", "-D", to, "-o", "/dev/null")).toMatchObject({ code: 0, err: "" });
	});
});

describeAsRoot("restore refuses", () => {
	const restore = (from: string, ...more: string[]) => criu("restore", "-d", "-D", from, "-o", "/dev/null", ...more);

	test.each([[], ["--dry-run"]])("directories without images (%p)", (...more) => {
		const empty = mkdtempSync(join(dir, "empty-"));
		expectRefusal(restore(empty, ...more), "inventory.img");
		expectRefusal(restore(join(dir, "none"), ...more), "none");
		expectRefusal(restore(join(images, "core.img"), ...more), "core.img");
		expectRefusal(restore(join(images, "inventory.img"), ...more), "not a directory");
	});

	test("a pid file that exists, and leaves it and no process", async () => {
		await using other = new Counter();
		await other.counts(0);
		const to = mkdtempSync(join(dir, "other-"));
		expect(criu("dump", "-t", String(other.pid), "-D", to, "-o", "/dev/null").code).toBe(0);
		while (existsSync(`/proc/${other.pid}`)) await Bun.sleep(1); // until it's reaped
		const pidfile = join(dir, "pidfile");
		writeFileSync(pidfile, "kept");
		expectRefusal(restore(to, "--pidfile", pidfile), "pidfile");
		expect(readFileSync(pidfile, "utf8")).toBe("kept");
		expect(existsSync(`/proc/${other.pid}`)).toBe(false);
	});

	test("images of another machine type", () => {
		const to = damage();
		using opened = ImageDir.open(to);
		const core = opened.readEntry(KINDS.CORE, counter.pid);
		core.mtype = core_entry_march.AARCH64;
		opened.writeEntry(KINDS.CORE, counter.pid, core);
		expectRefusal(restore(to), "AARCH64");
	});

	test("an image in the place of another one", () => {
		const fs = readFileSync(join(images, `fs-${counter.pid}.img`));
		for (const name of ["pstree.img", `mm-${counter.pid}.img`, "files.img"])
			expectRefusal(restore(damage(name, () => fs)), name);
	});

	test("an image that goes on behind its only entry", () => {
		const name = `mm-${counter.pid}.img`;
		expectRefusal(restore(damage(name, (bytes) => Buffer.concat([bytes, Buffer.alloc(3)]))), name);
	});

	test("each image with a huge size of an entry", () => {
		for (const name of imageNames())
			for (const size of [0xffffffff, 0x80000000, 0x7ffffff0, 64 * 1024 * 1024]) {
				const to = damage(name, (bytes) => {
					bytes.writeUInt32LE(size, name === "inventory.img" ? 4 : 8);
					return bytes;
				});
				expect(`${name} with ${size}: ${codeOf(to)}`).toMatch(/ (IMAGE_TOO_LARGE|IMAGE_TRUNCATED|DUMP_INCOMPLETE)$/);
				rmSync(to, { recursive: true });
			}
	});

	test("each image cut inside of an entry", () => {
		const to = damage();
		for (const name of imageNames()) {
			const bytes = readFileSync(join(to, name));
			const step = Math.max(1, Math.floor(bytes.length / 60));
			for (let length = 0; length < bytes.length; length += step) {
				writeFileSync(join(to, name), bytes.subarray(0, length));
				const verdict = `${name} cut to ${length} of ${bytes.length} bytes: ${codeOf(to)}`;
				expect(verdict).not.toMatch(/BUG$/);
				// A list that ends between two of its entries is a shorter list.
				if (!/^(files|fdinfo|pagemap)/.test(name)) expect(verdict).not.toMatch(/none$/);
			}
			writeFileSync(join(to, name), bytes);
		}
	});

	test("a fifo, a link and a directory in the place of an image, without waiting for anybody", () => {
		for (const make of [["mkfifo"], ["ln", "-s", "/etc/passwd"], ["mkdir"]]) {
			const to = damage();
			rmSync(join(to, "pstree.img"));
			Bun.spawnSync([...make, join(to, "pstree.img")]);
			expectRefusal(restore(to), "pstree.img");
		}
	});

	test("all of that without a file left behind or the running program harmed", async () => {
		const known = /^(images|damaged\d+|empty-\w+|other-\w+|pidfile)$/;
		expect(readdirSync(dir).filter((name) => !known.test(name))).toEqual([]);
		await counter.counts();
	});
});
