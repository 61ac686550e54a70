// SPDX-License-Identifier: GPL-2.0-only
// Damaged images restored in earnest, each time in namespaces of its own where nothing but the test's folder can be written
// to: criu succeeds, or fails with exit code 1 and one clear error, and leaves no process and no changed file.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { siginfo_entrySchema } from "../../src/images/gen/core_pb.ts";
import { type reg_file_entry, remap_type } from "../../src/images/gen/file_pb.ts";
import { create, ImageDir, KINDS } from "../../src/images/index.ts";
import { describeAsRoot } from "../as-root.ts";
import { makeRandom } from "../images/random-message.ts";
import { Cage, type Outcome } from "./cage.ts";
import { CRIU, HOARDER_PID, Hoard } from "./hoard.ts";
import { below, type Damage, Mutator } from "./mutate.ts";

/** More rounds and another seed find more: CRIU_FUZZ_RESTORES, CRIU_FUZZ_SEED. */
const ROUNDS = Number(process.env["CRIU_FUZZ_RESTORES"] ?? 120);
const SEED = Number(process.env["CRIU_FUZZ_SEED"] ?? 20261124);
const LIMIT_S = 20;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const VMA_FILE_PRIVATE = 0x40;
const SIGRTMIN = 34;
const isRoot = process.getuid?.() === 0;

let hoard: Hoard;
let work: string;
let cage: Cage;
let mutator: Mutator;

beforeAll(async () => {
	if (!isRoot) return;
	hoard = new Hoard();
	work = join(hoard.dir, "work");
	mkdirSync(work);
	mutator = new Mutator(hoard.images, [join(hoard.files, "fifo"), hoard.files]);
	writeOriginals(mutator.originals.keys());
	cage = await Cage.open(hoard.dir);
});

afterAll(async () => {
	if (!isRoot) return;
	await cage[Symbol.asyncDispose]();
	hoard[Symbol.dispose]();
});

function writeOriginals(names: Iterable<string>): void {
	for (const name of names) writeFileSync(join(work, name), mutator.originals.get(name) ?? "");
}

/** Everything in the folder but what a run may write: name, type, size, owner, content. */
function lookAround(): Map<string, string> {
	const seen = new Map<string, string>();
	for (const name of readdirSync(hoard.dir, { recursive: true }).map(String).sort()) {
		if (/^(log|stats-restore)$/.test(name)) continue;
		const path = join(hoard.dir, name);
		const stat = statSync(path);
		const content = stat.isFile() ? Bun.hash(readFileSync(path)) : "";
		seen.set(name, [stat.mode, stat.size, stat.uid, stat.gid, content].join(" "));
	}
	return seen;
}

/** Restores what is in the work folder now and checks what holds whatever comes out. */
function restore(what: string): Outcome {
	const before = lookAround();
	const argv = [CRIU, "restore", "-d", "-D", work, "-W", hoard.dir, "-o", "/dev/null", "--file-locks"];
	const outcome = cage.run(LIMIT_S, argv);
	const { code, alive, output } = outcome;
	const told = `${what}: exit code ${code}, ${output}`;
	expect(told).toMatch(/exit code [01],/);
	expect(told).not.toMatch(/at async|^ {4}at |unexpected failure|bug in criu/m);
	if (code === 1) {
		expect(output).toMatch(/^error: .+; remedy: .+ \[[A-Z0-9_]+\]\n$/);
		expect({ told, alive }).toEqual({ told, alive: [] });
	}
	expect({ told, after: lookAround() }).toEqual({ told, after: before });
	return outcome;
}

function restoreDamaged({ files, what }: Damage, round: number): Outcome {
	for (const [name, bytes] of files)
		if (bytes === undefined) rmSync(join(work, name));
		else writeFileSync(join(work, name), bytes);
	try {
		return restore(`seed ${SEED}, round ${round}, ${what}`);
	} finally {
		writeOriginals(files.keys());
	}
}

/** Restores images that were changed by `change`. */
function restoreChanged(what: string, names: readonly string[], change: (dir: ImageDir) => void): Outcome {
	using dir = ImageDir.open(work);
	try {
		change(dir);
		return restore(what);
	} finally {
		writeOriginals(names);
	}
}

function nameOf(reg: reg_file_entry | undefined): string {
	return Buffer.from(reg?.name ?? []).toString("latin1");
}

describeAsRoot("restoring damaged images", () => {
	test("ends well or with one clear error, and leaves nothing", () => {
		const random = below(makeRandom(SEED));
		expect(restore("undamaged")).toMatchObject({ code: 0, alive: [HOARDER_PID], output: "" });
		const counts = [0, 0];
		for (let round = 0; round < ROUNDS; round++) {
			const { code } = restoreDamaged(mutator.damage(random), round);
			counts[code] = (counts[code] ?? 0) + 1;
		}
		expect(Math.min(...counts)).toBeGreaterThanOrEqual(Math.floor(ROUNDS / 10));
	}, 1_200_000);

	test("doesn't remove a file that the images name as their link", () => {
		const outcome = restoreChanged("a forged link", ["remap-fpath.img"], (dir) => {
			const files = dir.readEntries(KINDS.FILES);
			const idOf = (name: string) => files.find(({ reg }) => nameOf(reg).endsWith(name))?.id;
			const remaps = dir.readEntries(KINDS.REMAP_FPATH);
			const gone = remaps.find(({ origId }) => origId === idOf("/gone"));
			Object.assign(gone ?? {}, { remapType: remap_type.LINKED, remapId: idOf("/plain") });
			dir.writeEntries(KINDS.REMAP_FPATH, undefined, remaps);
		});
		expect(outcome).toMatchObject({ code: 1, output: expect.stringContaining("no link that a dump makes") });
	});

	test("doesn't write pages of the images to a file that is mapped shared", () => {
		const outcome = restoreChanged("a shared mapping said to be private", [`mm-${HOARDER_PID}.img`], (dir) => {
			const mm = dir.readEntry(KINDS.MM, HOARDER_PID);
			const [vma] = mm.vmas.filter(({ status }) => (status & VMA_FILE_PRIVATE) !== 0);
			if (vma !== undefined) vma.flags = (vma.flags & ~MAP_PRIVATE) | MAP_SHARED;
			dir.writeEntry(KINDS.MM, HOARDER_PID, mm);
		});
		expect(outcome).toMatchObject({ code: 1, output: expect.stringContaining("which its status denies") });
	});

	test("doesn't wait for a writer when a file has become a named pipe", () => {
		const plain = join(hoard.files, "plain");
		renameSync(plain, `${plain}.kept`);
		linkSync(join(hoard.files, "fifo"), plain);
		try {
			// Images of an old criu don't tell the type of a file.
			const outcome = restoreChanged("a pipe for a file", ["files.img"], (dir) => {
				const files = dir.readEntries(KINDS.FILES);
				for (const { reg } of files)
					if (reg !== undefined) for (const field of ["mode", "size"]) Reflect.deleteProperty(reg, field);
				dir.writeEntries(KINDS.FILES, undefined, files);
			});
			expect(outcome).toMatchObject({ code: 1, output: expect.stringContaining("named pipe") });
		} finally {
			renameSync(`${plain}.kept`, plain);
		}
	});

	test("finds room for ten thousand waiting signals", () => {
		const outcome = restoreChanged("many signals", [`core-${HOARDER_PID}.img`], (dir) => {
			const core = dir.readEntry(KINDS.CORE, HOARDER_PID);
			const { signals = [] } = core.tc?.signalsS ?? {};
			const [first] = signals.filter(({ siginfo }) => (siginfo[0] ?? 0) > SIGRTMIN);
			for (let n = 0; n < 10_000; n++)
				signals.push(create(siginfo_entrySchema, { siginfo: first?.siginfo ?? new Uint8Array() }));
			dir.writeEntry(KINDS.CORE, HOARDER_PID, core);
		});
		expect(outcome).toMatchObject({ code: 0, alive: [HOARDER_PID] });
	});
});
