// SPDX-License-Identifier: GPL-2.0-only
// What dump and restore refuse of pids, directories and images; more of it in bad-input.test.ts.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { Counter, criu, expectRefusal, isRoot } from "./counter.ts";

let dir: string;
let images: string;
let counter: Counter;

beforeAll(async () => {
	dir = mkdtempSync(join(tmpdir(), "criu-input-"));
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

function findFreePid(): number {
	for (let pid = 4_000_000; ; pid--) if (!readdirSync("/proc").includes(String(pid))) return pid;
}

describeAsRoot("dump refuses", () => {
	const dump = (pid: number, to = dir) => criu("dump", "-t", String(pid), "-D", to, "-o", "/dev/null");

	test("a pid that doesn't exist", () => expectRefusal(dump(findFreePid()), "doesn't exist"));
	test("a thread of the kernel", () => {
		const kernel = readdirSync("/proc").find((name) => /^\d+$/.test(name) && isKernelThread(name));
		if (kernel === undefined) return console.log("no kernel thread can be seen here");
		expectRefusal(dump(Number(kernel)), "is a thread of the kernel");
	});
	test("an ancestor of criu itself", () => expectRefusal(dump(process.pid), "ancestor"));
	test("a zombie", async () => {
		const parent = Bun.spawn(
			["python3", "-c", "import os,sys\np=os.fork()\nif p==0: os._exit(3)\nprint(p,flush=True)\nsys.stdin.read()"],
			{
				stdin: "pipe",
				stdout: "pipe",
			},
		);
		const { value } = await parent.stdout.getReader().read();
		const pid = Number(new TextDecoder().decode(value));
		while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))) await Bun.sleep(2);
		expectRefusal(dump(pid), "is dead and waits for its parent");
		parent.stdin.end();
		await parent.exited;
	});
	test("an images directory that isn't there", () =>
		expectRefusal(criu("dump", "-t", String(counter.pid), "-D", join(dir, "none")), "none"));
	test("a file in the place of the images directory", () => {
		writeFileSync(join(dir, "file"), "");
		expectRefusal(criu("dump", "-t", String(counter.pid), "-D", join(dir, "file")), "file");
	});
	test("nothing that would harm the program, which goes on counting", async () => {
		await counter.counts();
	});
});

function isKernelThread(pid: string): boolean {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
		return (Number(stat.slice(stat.lastIndexOf(")")).split(" ")[7]) & 0x200000) !== 0;
	} catch {
		return false;
	}
}

describeAsRoot("a dump directory that held other images", () => {
	test("holds only the new ones as far as they matter", () => {
		const other = join(dir, "other");
		mkdirSync(other);
		for (const name of readdirSync(images)) copyFileSync(join(images, name), join(other, name));
		writeFileSync(join(other, "cgroup.img"), "old");
		expect(criu("dump", "-t", String(counter.pid), "-R", "-D", other, "-o", "/dev/null").code).toBe(0);
		expect(readdirSync(other)).not.toContain("cgroup.img");
		expect(criu("restore", "--dry-run", "-D", other, "-o", "/dev/null").code).toBe(0);
	});
});

describeAsRoot("restore refuses", () => {
	let damaged: string;
	let round = 0;
	const copy = () => {
		damaged = join(dir, `damaged${round++}`);
		mkdirSync(damaged);
		for (const name of readdirSync(images)) copyFileSync(join(images, name), join(damaged, name));
		return damaged;
	};
	const restore = (...args: string[]) => criu("restore", "-d", "-D", damaged, "-o", "/dev/null", ...args);
	const core = () => `core-${counter.pid}.img`;

	test("a dump that didn't finish", () => {
		rmSync(join(copy(), "inventory.img"));
		expectRefusal(restore(), "didn't finish");
	});
	test("a dump whose inventory was cut", () => {
		const bytes = readFileSync(join(copy(), "inventory.img"));
		writeFileSync(join(damaged, "inventory.img"), bytes.subarray(0, bytes.length - 3));
		expectRefusal(restore(), "didn't finish");
	});
	test.each(["pstree.img", "files.img"])("a truncated %s", (name) => {
		const bytes = readFileSync(join(copy(), name));
		writeFileSync(join(damaged, name), bytes.subarray(0, bytes.length - 3));
		expectRefusal(restore(), name);
	});
	test("a core image with a huge length", () => {
		const bytes = readFileSync(join(copy(), core()));
		bytes.writeUInt32LE(0xfffffff0, 8);
		writeFileSync(join(damaged, core()), bytes);
		expectRefusal(restore(), core());
	});
	test("images of another version", () => {
		const bytes = readFileSync(join(copy(), "inventory.img"));
		bytes[9] = 77;
		writeFileSync(join(damaged, "inventory.img"), bytes);
		expectRefusal(restore(), "version 77");
	});
	test("a pages file that is too short", () => {
		const name = readdirSync(copy()).find((n) => n.startsWith("pages-")) ?? "";
		writeFileSync(join(damaged, name), "");
		expectRefusal(restore(), name);
	});
	test("a pid that is taken, naming the holder", () => {
		copy();
		expectRefusal(restore(), `is taken by pid ${counter.pid} (python3)`);
	});
	test("to be a sibling without being detached", () => {
		copy();
		expectRefusal(criu("restore", "-S", "-D", damaged, "-o", "/dev/null"), "--restore-detached");
	});
	test("nothing that would write outside of the images directory or end the program", async () => {
		await counter.counts();
	});
});
