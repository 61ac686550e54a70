// SPDX-License-Identifier: GPL-2.0-only
// Images whose vdso isn't this kernel's: a program goes on calling its functions, at the addresses that it knows, and they
// tell the right time. The images are real ones with another vdso put in.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ImageDir, KINDS } from "../../src/images/index.ts";
import { PR_SET_CHILD_SUBREAPER } from "../../src/kernel/abi/prctl.ts";
import { SYS_prctl } from "../../src/kernel/abi/syscalls.x86_64.ts";
import { readVdsoSymbols } from "../../src/kinds/mm/vdso-symbols.ts";
import { VMA_AREA_VDSO } from "../../src/kinds/mm/vma.ts";
import { collectRuns } from "../../src/pages/pagemap.ts";
import { mustSyscall } from "../../src/sys/host.ts";
import { P_PID, WEXITED, waitId } from "../../src/sys/process.ts";
import { describeAsRoot } from "../as-root.ts";
import { findLack } from "../matrix/machine.ts";
import { buildScenario, listScenarios } from "../matrix/scenario.ts";
import { criu, end } from "./counter.ts";

const SYM_SIZE = 24;
const PROXY = /its vdso is another kernel's: \d+ functions lead to this one's/;
const UD2 = [0x0f, 0x0b];

const lackOf32Bit = findLack("ia32") ?? findLack("multilib");

let dir: string;
let program: string;

beforeAll(() => {
	mustSyscall("", SYS_prctl, PR_SET_CHILD_SUBREAPER, 1);
	dir = mkdtempSync(join(tmpdir(), "criu-foreign-vdso-"));
	program = join(dir, "caller");
	const gcc = ["gcc", "-O1", "-Wall", "-Werror", join(import.meta.dir, "vdso-caller.c"), "-o", program];
	expect(Bun.spawnSync(gcc).exitCode).toBe(0);
});

afterAll(() => {
	mustSyscall("", SYS_prctl, PR_SET_CHILD_SUBREAPER, 0);
	rmSync(dir, { recursive: true, force: true });
});

const read = (path: string): string => {
	try {
		return readFileSync(path, "latin1");
	} catch {
		return "";
	}
};

/** Waits until both processes have gone on; throws when one found a function wrong. */
async function goOn(files: readonly string[]): Promise<void> {
	const deadline = Date.now() + 10_000;
	for (const file of files)
		for (const first = read(file); ; await Bun.sleep(2)) {
			const text = read(file);
			if (text.startsWith("bad") || Date.now() > deadline) throw new Error(`${file}: ${text || "nothing"}`);
			if (Number(text) > Number(first) + 2) break;
		}
}

/** Changes the vdso in all images of memory. */
function forge(images: string, pids: readonly number[], change: (vdso: Buffer) => void): void {
	using from = ImageDir.open(images);
	for (const pid of pids) {
		const vdso = from.readEntry(KINDS.MM, pid).vmas.find((vma) => (vma.status & VMA_AREA_VDSO) !== 0);
		const pagemap = from.findHeaded(KINDS.PAGEMAP, pid);
		if (vdso === undefined || pagemap === undefined) throw new Error("no vdso in the images");
		const run = collectRuns("pagemap", pagemap).find(
			(one) => one.address <= vdso.start && one.address + one.bytes >= vdso.end,
		);
		if (run === undefined) throw new Error("no pages of the vdso");
		const fd = openSync(join(images, `pages-${pagemap.head.pagesId}.img`), "r+");
		const bytes = Buffer.alloc(Number(vdso.end - vdso.start));
		const at = Number(run.offset + (vdso.start - run.address));
		readSync(fd, bytes, 0, bytes.length, at);
		change(bytes);
		writeSync(fd, bytes, 0, bytes.length, at);
	}
}

/** Where the entry of a symbol lies. */
function* symbolsOf(vdso: Buffer): Generator<{ at: number; value: number }> {
	const values = new Set(readVdsoSymbols(vdso)?.values());
	// Symbols are recognised by their values: the table's place is the parser's business.
	for (let at = 0; at + SYM_SIZE <= 0x400; at += 8) {
		const value = Number(vdso.readBigUInt64LE(at + 8));
		const isFunction = (vdso[at + 4] ?? 0) >> 4 !== 0 && vdso.readUInt16LE(at + 6) !== 0;
		if (isFunction && values.has(value)) yield { at, value };
	}
}

/** Everything behind the first function kills who comes there. */
function breakCode(vdso: Buffer): void {
	const first = Math.min(...(readVdsoSymbols(vdso)?.values() ?? []));
	for (let at = first; at + 1 < vdso.length; at += 2) vdso.set(UD2, at);
}

function hideFunction(vdso: Buffer, name: string): void {
	const value = readVdsoSymbols(vdso)?.get(name);
	for (const symbol of symbolsOf(vdso)) if (symbol.value === value) vdso.writeUInt16LE(0, symbol.at + 6);
}

/** The same for one function of a 32-bit vdso, whose entries of symbols have another form. */
function hideFunction32(vdso: Buffer): void {
	const value = readVdsoSymbols(vdso)?.get("__vdso_clock_getres");
	for (let at = 0; at + 16 <= 0x600; at += 4)
		if (vdso.readUInt32LE(at + 4) === value && (vdso[at + 12] ?? 0) === 0x12) vdso.writeUInt16LE(0, at + 14);
}

function swapFunctions(vdso: Buffer, one: string, other: string): void {
	const functions = readVdsoSymbols(vdso);
	const [a, b] = [functions?.get(one) ?? 0, functions?.get(other) ?? 0];
	for (const { at, value } of [...symbolsOf(vdso)])
		if (value === a || value === b) vdso.writeBigUInt64LE(BigInt(value === a ? b : a), at + 8);
}

/** Collects processes that have ended or will; they are ours, as orphans of our children. */
function reap(pids: readonly number[]): void {
	for (const pid of pids)
		try {
			waitId(P_PID, pid, WEXITED);
		} catch {
			// Somebody has done so already.
		}
}

/** Dumps the program, changes its vdso in the images and restores it, twice. `log`: what the first restore says. */
async function playForged(
	mode: "kept" | "anew",
	change: (vdso: Buffer) => void,
	log: string | undefined,
	refusal?: RegExp,
) {
	const work = mkdtempSync(join(dir, "work-"));
	const images = join(work, "images");
	mkdirSync(images);
	const files = [join(work, "parent"), join(work, "child")];
	const child = Bun.spawn(["setsid", program, mode, ...files], { stdio: ["ignore", "ignore", "ignore"] });
	const { pid } = child;
	try {
		await goOn(files);
		expect(criu("dump", "-t", String(pid), "-D", images, "-o", "dump.log")).toMatchObject({ err: "", code: 0 });
		await child.exited;
		using from = ImageDir.open(images);
		const pids = from.readEntries(KINDS.PSTREE).map((entry) => entry.pid);
		expect(pids.length).toBe(2);
		reap(pids);
		forge(images, pids, change);
		for (let round = 0; round < 2; round++) {
			const restored = criu("restore", "-d", "-D", images, "-o", "restore.log", "-v4");
			if (refusal !== undefined) {
				expect(restored.err).toMatch(refusal);
				return;
			}
			expect(restored).toMatchObject({ err: "", code: 0 });
			const text = read(join(images, "restore.log"));
			if (round === 0) expect(PROXY.exec(text)?.[0]).toBe(log);
			await goOn(files);
			// What has been led elsewhere can be dumped and restored again.
			expect(criu("dump", "-t", String(pid), "-D", images, "-o", "dump.log")).toMatchObject({ err: "", code: 0 });
			reap(pids);
		}
	} finally {
		const children = read(`/proc/${pid}/task/${pid}/children`).trim().split(" ").filter(Boolean).map(Number);
		for (const one of [...children, pid]) await end(one);
		reap([...children, pid]);
	}
}

describeAsRoot("a program with the vdso of another kernel", () => {
	test("goes on at the addresses that it knows, though nothing of the old code works", () => {
		const change = (vdso: Buffer) => {
			hideFunction(vdso, "__vdso_clock_getres");
			breakCode(vdso);
		};
		return playForged("kept", change, "its vdso is another kernel's: 5 functions lead to this one's");
	});

	test("finds functions at their other places", () => {
		const change = (vdso: Buffer) => {
			swapFunctions(vdso, "__vdso_time", "__vdso_getcpu");
			breakCode(vdso);
		};
		return playForged("anew", change, "its vdso is another kernel's: 6 functions lead to this one's");
	});

	test("gets this kernel's in place when only the code differs", () => playForged("kept", breakCode, undefined));

	test.skipIf(lackOf32Bit !== undefined)(
		`goes on if it's a 32-bit one, whose system calls go through the vdso${lackOf32Bit === undefined ? "" : ` (skipped: ${lackOf32Bit})`}`,
		async () => {
			const scenario = listScenarios().find(({ name }) => name === "ia32_state");
			if (scenario === undefined) throw new Error("no such scenario");
			const work = mkdtempSync(join(dir, "work-"));
			const [out, images] = [join(work, "out"), join(work, "images")];
			mkdirSync(images);
			const child = Bun.spawn(["setsid", await buildScenario(scenario), out], {
				stdio: ["ignore", "ignore", "ignore"],
			});
			const { pid } = child;
			const says = async (what: string) => {
				const deadline = Date.now() + 30_000;
				while (!read(out).includes(what)) {
					if (Date.now() > deadline || read(out).includes("FAIL")) throw new Error(`no ${what}: ${read(out)}`);
					await Bun.sleep(2);
				}
			};
			try {
				await says("READY");
				expect(criu("dump", "-t", String(pid), "-D", images, "-o", "dump.log")).toMatchObject({ err: "", code: 0 });
				await child.exited;
				// It waits in a system call, behind the one that __kernel_vsyscall makes.
				forge(images, [pid], hideFunction32);
				expect(criu("restore", "-d", "-D", images, "-o", "restore.log", "-v4")).toMatchObject({ err: "", code: 0 });
				expect(read(join(images, "restore.log"))).toMatch(PROXY);
				process.kill(pid, "SIGTERM");
				await says("PASS");
			} finally {
				await end(pid);
				reap([pid]);
			}
		},
		60_000,
	);

	test("is refused when its vdso isn't one", () =>
		playForged("kept", (vdso) => vdso.fill(0, 0, 16), undefined, /from another kernel: its vdso is no library/));
});
