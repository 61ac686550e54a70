// SPDX-License-Identifier: GPL-2.0-only

import { describe, expect, test } from "bun:test";
import * as layout from "../../src/agent/layout.ts";
import { CrOp } from "../../src/agent/layout.ts";
import { describeOp, encodeProgram, loadFrom, Program, sizeProgram } from "../../src/agent/program.ts";
import { SYS_close, SYS_getpid, SYS_kill, SYS_pread64 } from "../../src/kernel/abi/syscalls.x86_64.ts";

const AT = 0x2000;

/** The operations of an encoded program, taken apart. */
function decode(program: Program) {
	const { bytes, nrOps, outOffset } = encodeProgram(program, AT);
	const view = new DataView(bytes.buffer);
	const ops = Array.from({ length: nrOps }, (_, i) => CrOp.read(view, i * CrOp.size));
	return { ops, bytes, outOffset };
}

describe("a program is encoded so that", () => {
	test("constants keep all 64 bits, negative ones too", () => {
		const program = new Program();
		program.syscall("all", SYS_kill, [-1, 0xffff_ffff_ffff_fff0n, -2n, 1, 2, 3]);
		const [op] = decode(program).ops;
		const max = (1n << 64n) - 1n;
		expect(op).toMatchObject({ code: layout.OP_SYSCALL, nr: SYS_kill, kinds: 0 });
		expect(op?.arg).toEqual([max, max - 15n, max - 1n, 1n, 2n, 3n]);
	});

	test("bytes and rooms become offsets in the area, results and stored values name their place", () => {
		const program = new Program();
		const room = program.out(12);
		const other = program.out(4);
		const first = program.syscall("first", SYS_getpid, [Uint8Array.of(1, 2, 3), room]);
		program.syscall("second", SYS_kill, [first, loadFrom(room, 8), other, Uint8Array.of(9)]);
		const { ops, bytes, outOffset } = decode(program);
		const data = 2 * CrOp.size;
		expect(outOffset).toBe(data + 8 + 8);
		expect(bytes.length).toBe(outOffset + 16 + 8);
		expect([...bytes.subarray(data, data + 3), bytes[data + 8]]).toEqual([1, 2, 3, 9]);
		expect(ops[0]?.kinds).toBe(layout.ARG_AREA | (layout.ARG_AREA << 4));
		expect(ops[0]?.arg.slice(0, 2)).toEqual([BigInt(AT + data), BigInt(AT + outOffset)]);
		expect(ops[1]?.kinds).toBe(
			layout.ARG_RESULT | (layout.ARG_LOAD32 << 4) | (layout.ARG_AREA << 8) | (layout.ARG_AREA << 12),
		);
		expect(ops[1]?.arg.slice(0, 4)).toEqual([
			0n,
			BigInt(AT + outOffset + 8),
			BigInt(AT + outOffset + 16),
			BigInt(AT + data + 8),
		]);
	});

	test("each check has its code and what it expects", () => {
		const program = new Program();
		program.syscall("ok", SYS_getpid, []);
		program.syscall("any", SYS_getpid, [], { check: "any" });
		program.syscall("equal", SYS_getpid, [], { check: { equal: -3 } });
		program.syscall("okOr", SYS_getpid, [], { check: { okOr: "EEXIST" } });
		expect(decode(program).ops.map(({ check, expect }) => [check, expect])).toEqual([
			[layout.CHECK_NO_ERROR, 0n],
			[layout.CHECK_NONE, 0n],
			[layout.CHECK_EQUAL, -3n],
			[layout.CHECK_NO_ERROR_OR, 17n],
		]);
	});

	test("each operation has its code", () => {
		const program = new Program();
		const room = program.out(88);
		program.fill("f", SYS_pread64, [0, 0, 0, 0]);
		program.load("l", [0, 0, 0, 0]);
		program.copy("c", 0, 0, 0);
		program.merge("m", 0, 0, 0);
		program.store("s", 0, 0, 4);
		program.clone("n", room, 0, 0);
		program.wait("w", 0, 0);
		program.wake("k", 0, 0);
		program.reap("r");
		const { OP_FILL, OP_LOAD, OP_COPY, OP_MERGE, OP_STORE, OP_CLONE, OP_WAIT, OP_WAKE, OP_REAP } = layout;
		expect(decode(program).ops.map(({ code }) => code)).toEqual([
			...[OP_FILL, OP_LOAD, OP_COPY, OP_MERGE, OP_STORE, OP_CLONE, OP_WAIT, OP_WAKE, OP_REAP],
		]);
	});

	test("its size is known before", () => {
		const program = new Program();
		program.out(3);
		program.syscall("bytes", SYS_kill, [new Uint8Array(13)]);
		expect(sizeProgram(program)).toBe(CrOp.size + 16 + 8);
		expect(encodeProgram(program, 0).bytes.length).toBe(sizeProgram(program));
	});
});

describe("a program", () => {
	test("refuses a seventh argument, later results and places outside of a room", () => {
		const program = new Program();
		expect(() => program.syscall("seven", SYS_kill, [1, 2, 3, 4, 5, 6, 7])).toThrow(TypeError);
		const room = program.out(8);
		expect(loadFrom(room, 4)).toEqual({ load: 4 });
		expect(() => loadFrom(room, 5)).toThrow(RangeError);
		program.syscall("own result", SYS_kill, [{ op: 0 }]);
		expect(() => encodeProgram(program, 0)).toThrow(RangeError);
	});

	test("keeps the references of one that is appended to it", () => {
		const tail = new Program();
		const room = tail.out(16);
		const pid = tail.syscall("pid", SYS_getpid, [room]);
		tail.syscall("close", SYS_close, [pid, loadFrom(room, 12)]);
		const program = new Program();
		program.out(24);
		program.syscall("before", SYS_getpid, []);
		program.append(tail);
		expect(program.ops.map(({ args }) => args)).toEqual([[], [{ out: 24, length: 16 }], [{ op: 1 }, { load: 36 }]]);
		expect(program.outSize).toBe(40);
	});

	test("is told in words", () => {
		const program = new Program();
		const room = program.out(8);
		const pid = program.syscall("who am I", SYS_getpid, []);
		program.syscall("end it", SYS_kill, [pid, 9, 0x7fff_0000_0000n, Uint8Array.of(1), room, loadFrom(room, 0)]);
		program.reap("wait for all");
		expect(program.ops.map(describeOp)).toEqual([
			"getpid(): who am I",
			"kill(#0, 9, 0x7fff00000000, <1 bytes>, <room for 8 bytes>, <stored at 0>): end it",
			"reap(<room for 4 bytes>): wait for all",
		]);
	});
});
