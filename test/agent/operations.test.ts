// SPDX-License-Identifier: GPL-2.0-only
// Every operation of the agent, run in a process of the test's own.

import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LOAD_BUFFER } from "../../src/agent/layout.ts";
import { loadFrom, loadWideFrom, Program } from "../../src/agent/program.ts";
import { CriuError } from "../../src/errors.ts";
import { O_RDWR } from "../../src/kernel/abi/fcntl.ts";
import { PROT_READ } from "../../src/kernel/abi/mman.ts";
import * as nr from "../../src/kernel/abi/syscalls.x86_64.ts";
import { toCString } from "../../src/sys/file.ts";
import { describeAsRoot } from "../as-root.ts";
import { Patient, withAgent } from "./patient.ts";

const PAGE = 4096;
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const isRoot = process.getuid?.() === 0;

let patient: Patient;
let dir: string;

beforeAll(async () => {
	if (isRoot) patient = await Patient.start("busy");
	dir = mkdtempSync(join(tmpdir(), "agent-"));
});
afterEach(async () => {
	if (isRoot) await patient.untilWell();
});
afterAll(async () => {
	rmSync(dir, { recursive: true });
	if (isRoot) await patient[Symbol.asyncDispose]();
});

const run = (program: Program) => withAgent(patient.pid, (agent) => agent.programs.run(program));

/** The error of a program that must fail. */
function failureOf(program: Program): CriuError {
	try {
		run(program);
	} catch (error) {
		if (error instanceof CriuError) return error;
		throw error;
	}
	throw new Error("the program didn't fail");
}

/** Pages that last for the program, freed by its last operation, which `finish` adds. */
function addPages(program: Program, pages: number) {
	const length = pages * PAGE;
	const at = program.syscall("map", nr.SYS_mmap, [0, length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0]);
	return { at, length, finish: () => program.syscall("unmap", nr.SYS_munmap, [at, length]) };
}

const open = (program: Program, path: string, flags = 0) =>
	program.syscall(`open ${path}`, nr.SYS_open, [toCString(path), flags, 0]);

describeAsRoot("the agent", () => {
	test("makes system calls in the process, later ones with the results of earlier ones", () => {
		const program = new Program();
		const pid = program.syscall("pid", nr.SYS_getpid, []);
		const group = program.syscall("group", nr.SYS_getpgid, [pid]);
		const answers = run(program);
		expect([answers.result(pid), answers.result(group)]).toEqual([BigInt(patient.pid), BigInt(patient.pid)]);
		expect(answers.succeeded(group)).toBe(true);
	});

	test("passes what a call has stored to the next: both ends of a pipe", () => {
		const program = new Program();
		const ends = program.out(8);
		const heard = program.out(5);
		program.syscall("make a pipe", nr.SYS_pipe2, [ends, 0]);
		program.syscall("write", nr.SYS_write, [loadFrom(ends, 4), Buffer.from("hello"), 5], { check: { equal: 5 } });
		program.syscall("read", nr.SYS_read, [loadFrom(ends, 0), heard, 5], { check: { equal: 5 } });
		for (const offset of [0, 4]) program.syscall("close", nr.SYS_close, [loadFrom(ends, offset)]);
		expect(Buffer.from(run(program).out(heard)).toString()).toBe("hello");
	});

	test("passes what a call has stored as an address", () => {
		const program = new Program();
		const ring = program.out(8);
		program.syscall("make a ring", nr.SYS_io_setup, [1, ring]);
		const events = program.syscall("ask it", nr.SYS_io_getevents, [loadWideFrom(ring, 0), 0, 0, 0, new Uint8Array(16)]);
		program.syscall("end it", nr.SYS_io_destroy, [loadWideFrom(ring, 0)]);
		expect(run(program).result(events)).toBe(0n);
	});

	test("copies and stores values of one, two, four and eight bytes", () => {
		const program = new Program();
		const room = program.out(32);
		const copy = program.out(32);
		program.copy("fill", room, new Uint8Array(32).fill(0xee), 32);
		program.store("last", { out: room.out + 24, length: 8 }, 0x1122334455667788n, 8);
		for (const [at, size] of [
			[0, 1],
			[8, 2],
			[16, 4],
		] as const)
			program.store("value", { out: room.out + at, length: 8 }, 0x1122334455667788n, size);
		program.copy("again", copy, room, 32);
		expect(Buffer.from(run(program).out(copy)).toString("hex")).toBe(
			"88eeeeeeeeeeeeee8877eeeeeeeeeeee88776655eeeeeeee8877665544332211",
		);
	});

	test("merges only the pages that differ", () => {
		const program = new Program();
		const pages = addPages(program, 3);
		const other = addPages(program, 3);
		const text = Buffer.alloc(2 * PAGE);
		text[PAGE + 7] = 1;
		program.copy("change the second page", other.at, text, text.length);
		const first = program.merge("merge", pages.at, other.at, 3 * PAGE);
		const second = program.merge("merge again", pages.at, other.at, 3 * PAGE);
		const seen = program.out(2 * PAGE);
		program.copy("look", seen, pages.at, 2 * PAGE);
		pages.finish();
		other.finish();
		const answers = run(program);
		expect([answers.result(first), answers.result(second)]).toEqual([1n, 0n]);
		expect(Buffer.compare(answers.out(seen), text)).toBe(0);
	});

	test("fills and loads memory from a file, many pages of it", () => {
		const path = join(dir, "file");
		const bytes = Buffer.from(Array.from({ length: 24 * PAGE }, (_, i) => (i * 7 + (i >> 12)) & 0xff));
		writeFileSync(path, bytes);
		const program = new Program();
		const fd = open(program, path);
		const pages = addPages(program, 20);
		const filled = program.out(20 * PAGE);
		const ends = program.out(16);
		const load = program.load("load", [fd, pages.at, 20 * PAGE, 3 * PAGE]);
		program.copy("look", filled, pages.at, 20 * PAGE);
		program.fill("fill", nr.SYS_pread64, [fd, ends, 16, 1000]);
		pages.finish();
		program.syscall("close", nr.SYS_close, [fd]);
		const answers = run(program);
		expect(answers.result(load)).toBe(BigInt(20 * PAGE));
		expect(Buffer.compare(answers.out(filled), bytes.subarray(3 * PAGE, 23 * PAGE))).toBe(0);
		expect(Buffer.compare(answers.out(ends), bytes.subarray(1000, 1016))).toBe(0);
	});

	test("loads memory that can't be written to, more than its buffer holds", () => {
		const path = join(dir, "long");
		const count = LOAD_BUFFER / PAGE + 3;
		const bytes = Buffer.from(Array.from({ length: (count + 1) * PAGE }, (_, i) => (i * 5 + (i >> 12)) & 0xff));
		writeFileSync(path, bytes);
		const program = new Program();
		const fd = open(program, path);
		const mem = open(program, "/proc/self/mem", O_RDWR);
		const buffer = addPages(program, LOAD_BUFFER / PAGE);
		const pages = addPages(program, count);
		program.syscall("protect", nr.SYS_mprotect, [pages.at, count * PAGE, PROT_READ]);
		const load = program.load("load", [fd, pages.at, count * PAGE, PAGE], {}, { mem, buffer: buffer.at });
		const last = program.out(4 * PAGE);
		program.syscall("go there", nr.SYS_lseek, [mem, pages.at, 0]);
		program.syscall("go to the last pages", nr.SYS_lseek, [mem, (count - 4) * PAGE, 1]);
		program.syscall("look", nr.SYS_read, [mem, last, 4 * PAGE]);
		for (const one of [pages, buffer]) one.finish();
		for (const one of [mem, fd]) program.syscall("close", nr.SYS_close, [one]);
		const answers = run(program);
		expect(answers.result(load)).toBe(BigInt(count * PAGE));
		expect(Buffer.compare(answers.out(last), bytes.subarray((count - 3) * PAGE, (count + 1) * PAGE))).toBe(0);
	});

	test.each(["fill", "load"] as const)("tells a file that is too short when it has to %s memory", (how) => {
		const path = join(dir, "short");
		writeFileSync(path, "0123456789");
		const program = new Program();
		const room = program.out(16);
		const fd = open(program, path);
		// The descriptor is closed by a second program: nothing runs after the failure.
		if (how === "fill") program.fill("read 16 bytes of a short file", nr.SYS_pread64, [fd, room, 16, 0]);
		else program.load("read 16 bytes of a short file", [fd, room, 16, 0]);
		const { code, message } = withAgent(patient.pid, (agent) => {
			try {
				agent.programs.run(program);
			} catch (error) {
				const close = new Program();
				close.syscall("close", nr.SYS_close, [3]);
				agent.programs.run(close);
				if (error instanceof CriuError) return error;
			}
			throw new Error("it didn't fail");
		});
		expect(code).toBe("AGENT_OP");
		expect(message).toContain("read 16 bytes of a short file: pread64");
		expect(message).toContain("EIO");
	});

	test("stops at the first failure and tells what it was for, with the remedy", () => {
		const program = new Program();
		const room = program.out(8);
		program.syscall("fine", nr.SYS_getpid, []);
		program.syscall("close what isn't open", nr.SYS_close, [9999], { remedies: { EBADF: "open it first" } });
		program.store("too late", room, 1, 8);
		const error = failureOf(program);
		expect(error).toMatchObject({ code: "AGENT_OP", remedy: "open it first" });
		expect(error.message).toMatch(/^close what isn't open: close: .*\(EBADF\)$/);
		expect(error.cause).toMatchObject({ code: "EBADF", syscall: "close" });
	});

	test("goes on after a failure that is allowed", () => {
		const program = new Program();
		const any = program.syscall("any", nr.SYS_close, [9999], { check: "any" });
		const known = program.syscall("known", nr.SYS_close, [9999], { check: { okOr: "EBADF" } });
		const answers = run(program);
		expect([answers.result(any), answers.result(known)]).toEqual([-9n, -9n]);
		expect([answers.succeeded(any), answers.succeeded(known)]).toEqual([false, false]);
	});

	test("takes another failure, and another result than the expected one, for failures", () => {
		const wrongErrno = new Program();
		wrongErrno.syscall("wrong errno", nr.SYS_close, [9999], { check: { okOr: "ENOENT" } });
		expect(failureOf(wrongErrno).message).toContain("wrong errno");
		const wrongResult = new Program();
		wrongResult.syscall("wrong result", nr.SYS_getpid, [], { check: { equal: 1 } });
		expect(failureOf(wrongResult)).toMatchObject({ code: "BUG", message: `wrong result: getpid gave ${patient.pid}` });
	});

	test("runs one program after the other", () => {
		const results = withAgent(patient.pid, (agent) =>
			Array.from({ length: 50 }, (_, i) => {
				const program = new Program();
				const ref = program.syscall("dup", nr.SYS_lseek, [9999, i, 0], { check: { okOr: "EBADF" } });
				return agent.programs.run(program).result(ref);
			}),
		);
		expect(new Set(results)).toEqual(new Set([-9n]));
	});

	test("refuses a program that is too large before it is handed over", () => {
		const program = new Program();
		program.syscall("huge", nr.SYS_getpid, [new Uint8Array(1 << 20)]);
		expect(failureOf(program)).toMatchObject({ code: "BUG" });
	});
});
