// SPDX-License-Identifier: GPL-2.0-only
// Damaged images of a real dump through reading, checking and planning: only typed errors may come out, and nothing hangs.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { planRestore } from "../../src/engine/restore.ts";
import { CriuError } from "../../src/errors.ts";
import { defaultOptions } from "../../src/options.ts";
import { Counter, criu, isRoot } from "../engine/counter.ts";

const ROUNDS = 1500;
let counter: Counter;
let images: string;

beforeAll(async () => {
	if (!isRoot) return;
	counter = new Counter();
	await counter.counts(0);
	images = join(counter.dir, "images");
	mkdirSync(images);
	expect(criu("dump", "-t", String(counter.pid), "-R", "-D", images, "-o", "/dev/null").code).toBe(0);
});
afterAll(async () => {
	await counter?.[Symbol.asyncDispose]();
});

/** A small generator with a fixed seed (mulberry32). */
function makeRandom(seed: number): (below: number) => number {
	let state = seed;
	return (below) => {
		state = (state + 0x6d2b79f5) | 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) % below;
	};
}

test.skipIf(!isRoot)(
	"planning damaged images gives a plan or a typed error",
	() => {
		const random = makeRandom(20261124);
		const names = readdirSync(images).filter((name) => name.endsWith(".img") && !name.startsWith("pages-"));
		const work = join(counter.dir, "work");
		mkdirSync(work);
		const originals = new Map(readdirSync(images).map((name) => [name, readFileSync(join(images, name))]));
		for (const [name, bytes] of originals) writeFileSync(join(work, name), bytes);
		let refused = 0;
		for (let round = 0; round < ROUNDS; round++) {
			const name = names[random(names.length)] ?? "";
			const bytes = Buffer.from(originals.get(name) ?? []);
			for (let n = 1 + random(3); n > 0; n--) bytes[random(bytes.length)] = random(256);
			const cut = random(8) === 0 ? random(bytes.length) : bytes.length;
			writeFileSync(join(work, name), bytes.subarray(0, cut));
			try {
				planRestore({ ...defaultOptions(), imagesDir: work, workDir: work });
			} catch (error) {
				if (!(error instanceof CriuError) || error.code === "BUG")
					throw new Error(`round ${round}, ${name}`, { cause: error });
				refused++;
			}
			writeFileSync(join(work, name), originals.get(name) ?? "");
		}
		expect(refused).toBeGreaterThan(ROUNDS / 10);
		rmSync(work, { recursive: true });
	},
	120_000,
);
