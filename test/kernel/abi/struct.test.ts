// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, test } from "bun:test";
import { EpollEvent } from "../../../src/kernel/abi/event-files.ts";
import { RtSigframe } from "../../../src/kernel/abi/sigframe.x86_64.ts";
import { parseSiginfoHead, Siginfo } from "../../../src/kernel/abi/siginfo.ts";
import { defineStruct, viewOf } from "../../../src/kernel/abi/struct.ts";
import { Itimerspec } from "../../../src/kernel/abi/time.ts";
import { UserRegs } from "../../../src/kernel/abi/user-regs.x86_64.ts";

const Mixed = defineStruct("mixed", 64, {
	a: ["u8", 0],
	b: ["i8", 1],
	c: ["u16", 2],
	d: ["i16", 4],
	e: ["u32", 8],
	f: ["i32", 12],
	g: ["u64", 16],
	h: ["i64", 24],
	list: ["u16", 32, 3],
	longs: ["u64", 40, 2],
	raw: ["bytes", 56, 8],
});

describe("defineStruct", () => {
	test("what was written is read back, at any position of a larger buffer", () => {
		const value = {
			a: 255,
			b: -128,
			c: 65535,
			d: -32768,
			e: 0xffffffff,
			f: -1,
			g: (1n << 64n) - 1n,
			h: -(1n << 63n),
			list: [1, 2, 3],
			longs: [7n, 8n],
			raw: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
		};
		const buffer = new Uint8Array(200).fill(0xee);
		const view = viewOf(buffer.subarray(3));
		Mixed.write(view, 5, value);
		expect(Mixed.read(view, 5)).toEqual(value);
		expect(buffer[7]).toBe(0xee);
		expect(buffer[8 + 64]).toBe(0xee);
	});

	test("the layout is little endian", () => {
		expect([...EpollEvent.encode({ events: 0x01020304, data: 0x0a0bn })]).toEqual([
			4, 3, 2, 1, 11, 10, 0, 0, 0, 0, 0, 0,
		]);
	});

	test("missing fields and padding become zero", () => {
		const bytes = new Uint8Array(64).fill(0xff);
		Mixed.write(viewOf(bytes), 0, { c: 1 });
		expect(bytes.reduce((sum, byte) => sum + byte, 0)).toBe(1);
	});

	test("bytes are copied out, not shared", () => {
		const bytes = Mixed.encode({ raw: Uint8Array.of(9) });
		const { raw } = Mixed.read(viewOf(bytes));
		bytes.fill(0);
		expect(raw[0]).toBe(9);
	});

	test("structs nest", () => {
		const bytes = Itimerspec.encode({ it_value: { tv_sec: 3n, tv_nsec: 4n } });
		expect(Itimerspec.read(viewOf(bytes))).toEqual({
			it_interval: { tv_sec: 0n, tv_nsec: 0n },
			it_value: { tv_sec: 3n, tv_nsec: 4n },
		});
		const frame = RtSigframe.encode({ uc: { uc_mcontext: { ip: 0x400000n } }, info: { si_signo: 10 } });
		expect(viewOf(frame).getBigUint64(8 + 40 + 128, true)).toBe(0x400000n);
		expect(RtSigframe.read(viewOf(frame)).info.si_signo).toBe(10);
	});

	test.each([
		["a", 256],
		["a", -1],
		["a", 1.5],
		["a", Number.NaN],
		["b", 128],
		["c", 65536],
		["e", -1],
		["e", 2 ** 32],
		["f", 2 ** 31],
		["g", 1n << 64n],
		["g", -1n],
		["h", 1n << 63n],
		["list", [1, 2, 3, 4]],
		["list", [70000]],
		["raw", new Uint8Array(9)],
	])("a value that does not fit is refused: %s = %p", (key, value) => {
		expect(() => Mixed.encode({ [key]: value })).toThrow(RangeError);
	});

	test.each([
		["a", 1n],
		["g", 1],
		["raw", "text"],
	])("a value of the wrong type is refused: %s = %p", (key, value) => {
		expect(() => Mixed.encode({ [key]: value } as never)).toThrow(TypeError);
	});

	test("a view that is too short is refused", () => {
		expect(() => Mixed.read(viewOf(new Uint8Array(63)))).toThrow(RangeError);
		expect(() => Mixed.read(viewOf(new Uint8Array(64)), -1)).toThrow(RangeError);
		expect(() => Mixed.read(viewOf(new Uint8Array(64)), Number.NaN)).toThrow(RangeError);
		expect(() => Mixed.write(viewOf(new Uint8Array(64)), 1, {})).toThrow(RangeError);
	});

	test("a field beyond the size is refused at the first use", () => {
		expect(() => defineStruct("bad", 8, { x: ["u64", 4] }).encode({})).toThrow(RangeError);
	});

	test("thousands of reads and writes take milliseconds", () => {
		const view = viewOf(new Uint8Array(UserRegs.size));
		const begin = performance.now();
		for (let i = 0; i < 5000; i++) UserRegs.write(view, 0, UserRegs.read(view));
		console.log(`5000 reads and writes of ${UserRegs.name}: ${(performance.now() - begin).toFixed(1)} ms`);
	});
});

describe("parseSiginfoHead", () => {
	test("gives the three leading fields", () => {
		const bytes = new Uint8Array(300);
		bytes.set(Siginfo.encode({ si_signo: 34, si_code: -2, si_errno: 5, si_value: 77n }), 128);
		expect(parseSiginfoHead(bytes, 128)).toEqual({ signo: 34, code: -2, errno: 5 });
	});

	test("refuses a record that is cut off", () => {
		expect(() => parseSiginfoHead(new Uint8Array(255), 128)).toThrow(RangeError);
	});
});
