// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describeAsRoot } from "../as-root.ts";
import { Counter, criu, end } from "./counter.ts";

function restoreCopy(counter: Counter, images: string, name: string): number {
	const pidfile = join(counter.dir, name);
	const run = criu("restore", "-d", "--new-pidns", "-D", images, "-o", `${name}.log`, "--pidfile", pidfile);
	expect(run).toEqual({ code: 0, out: expect.stringContaining(`runs as pid`), err: "" });
	return Number(readFileSync(pidfile, "latin1"));
}

describeAsRoot("restore --new-pidns", () => {
	test("lets copies live beside the original, with the same pid inside, and they can be dumped again", async () => {
		await using counter = new Counter();
		await counter.counts(0);
		const images = join(counter.dir, "images");
		const again = join(counter.dir, "again");
		mkdirSync(images);
		mkdirSync(again);
		expect(criu("dump", "-t", String(counter.pid), "-R", "-D", images, "-o", "log").code).toBe(0);
		const taken = criu("restore", "-d", "-D", images, "-o", "log");
		expect(taken.code).toBe(1);
		expect(taken.err).toContain(`pid ${counter.pid} is taken by pid ${counter.pid} (python3)`);
		expect(taken.err).toContain("--new-pidns");

		const copies = [restoreCopy(counter, images, "first"), restoreCopy(counter, images, "second")];
		try {
			for (const copy of copies) {
				const status = readFileSync(`/proc/${copy}/status`, "latin1");
				expect(status).toMatch(new RegExp(`^NSpid:\\t.*\\t${counter.pid}$`, "m"));
			}
			expect(criu("dump", "-t", String(copies[0]), "-D", again, "-o", "log")).toEqual({ code: 0, out: "", err: "" });
			copies.push(restoreCopy(counter, again, "third"));
			await counter.counts();
		} finally {
			for (const copy of copies) await end(copy);
		}
	}, 60_000);
});
