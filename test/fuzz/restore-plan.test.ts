// SPDX-License-Identifier: GPL-2.0-only
// Damaged images of a real dump through reading, checking and planning, as --dry-run does: a plan or one typed error with
// a remedy come out, soon, and no descriptor stays open.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { planRestore } from "../../src/engine/restore.ts";
import { CriuError } from "../../src/errors.ts";
import { defaultOptions } from "../../src/options.ts";
import { describeAsRoot } from "../as-root.ts";
import { makeRandom } from "../images/random-message.ts";
import { Hoard } from "./hoard.ts";
import { below, type Damage, Mutator } from "./mutate.ts";

/** More rounds and another seed find more: CRIU_FUZZ_ROUNDS, CRIU_FUZZ_SEED. */
const ROUNDS = Number(process.env["CRIU_FUZZ_ROUNDS"] ?? 2500);
const SEED = Number(process.env["CRIU_FUZZ_SEED"] ?? 20261124);
/** Of the slowest round; a whole one takes some 2 ms. */
const SOON_MS = 5000;
const isRoot = process.getuid?.() === 0;

let hoard: Hoard;
let work: string;
let mutator: Mutator;

beforeAll(() => {
	if (!isRoot) return;
	hoard = new Hoard();
	work = join(hoard.dir, "work");
	mkdirSync(work);
	mutator = new Mutator(hoard.images, [join(hoard.files, "fifo"), hoard.files]);
	for (const [name, bytes] of mutator.originals) writeFileSync(join(work, name), bytes);
});

afterAll(() => {
	if (isRoot) hoard[Symbol.dispose]();
});

/** The code of what comes out, with the damage done for the time being; "plan" for a plan. */
function planDamaged({ files, what }: Damage, round: number): string {
	for (const [name, bytes] of files)
		if (bytes === undefined) rmSync(join(work, name));
		else writeFileSync(join(work, name), bytes);
	const start = performance.now();
	try {
		planRestore({ ...defaultOptions(), fileLocks: true, imagesDir: work, workDir: work });
		return "plan";
	} catch (error) {
		if (error instanceof CriuError && error.code !== "BUG" && error.remedy !== undefined) return error.code;
		throw new Error(`seed ${SEED}, round ${round}: ${what}`, { cause: error });
	} finally {
		if (performance.now() - start > SOON_MS) console.error(`seed ${SEED}, round ${round} takes long: ${what}`);
		for (const name of files.keys()) writeFileSync(join(work, name), mutator.originals.get(name) ?? "");
	}
}

describeAsRoot("planning damaged images", () => {
	test("gives a plan or a typed error, soon", () => {
		const random = below(makeRandom(SEED));
		expect(planDamaged({ what: "nothing", files: new Map() }, -1)).toBe("plan");
		const open = readdirSync("/proc/self/fd").length;
		const codes = new Map<string, number>();
		for (let round = 0; round < ROUNDS; round++) {
			const code = planDamaged(mutator.damage(random), round);
			codes.set(code, (codes.get(code) ?? 0) + 1);
		}
		expect(readdirSync("/proc/self/fd").length).toBe(open);
		// The damage is of many kinds, and much of it can be borne.
		expect(codes.size).toBeGreaterThan(8);
		expect(codes.get("plan") ?? 0).toBeGreaterThan(ROUNDS / 20);
	}, 600_000);
});
