// SPDX-License-Identifier: GPL-2.0-only
// The evaluator of seccomp filters: each kind of instruction, the rank of answers, and that no bytes make it fail.

import { describe, expect, test } from "bun:test";
import * as sc from "../../src/kernel/abi/seccomp.ts";
import { encodeSeccompData, judgeCall, runFilter } from "../../src/kernel/classic-bpf.ts";

type Instruction = readonly [code: number, jt: number, jf: number, k: number];

const program = (...instructions: Instruction[]) =>
	Uint8Array.from(instructions.flatMap(([code, jt, jf, k]) => [...sc.SockFilter.encode({ code, jt, jf, k: k >>> 0 })]));
const load = (offset: number): Instruction => [0x20, 0, 0, offset];
const set = (k: number): Instruction => [0x00, 0, 0, k];
const setX = (k: number): Instruction => [0x01, 0, 0, k];
const alu = (op: number, k: number): Instruction => [0x04 | op, 0, 0, k];
const aluX = (op: number): Instruction => [0x0c | op, 0, 0, 0];
const jump = (op: number, k: number, jt: number, jf: number): Instruction => [0x05 | op, jt, jf, k];
const answer = (k: number): Instruction => [0x06, 0, 0, k];
const answerA: Instruction = [0x16, 0, 0, 0];

const call = { nr: 257, arch: sc.AUDIT_ARCH_X86_64, ip: 0x1122334455667788n, args: [1n, (2n << 32n) | 3n, -1n] };
const data = encodeSeccompData(call);
const run = (...instructions: Instruction[]) => runFilter(program(...instructions), data);

describe("a filter", () => {
	test("sees number, architecture, address and arguments of the call", () => {
		const words = [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 60].map((offset) => run(load(offset), answerA));
		expect(words).toEqual([257, sc.AUDIT_ARCH_X86_64, 0x55667788, 0x11223344, 1, 0, 3, 2, 0xffffffff, 0xffffffff, 0]);
		expect(run([0x80, 0, 0, 0], answerA)).toBe(64);
	});

	test("computes with 32 bits", () => {
		const compute = (a: number, op: number, k: number) => [
			run(set(a), alu(op, k), answerA),
			run(set(a), setX(k), aluX(op), answerA),
		];
		const cases: [a: number, op: number, k: number, result: number][] = [
			[0xffffffff, 0x00, 2, 1],
			[1, 0x10, 2, 0xffffffff],
			[0x10001, 0x20, 0x10001, 0x20001],
			[0xfffffffe, 0x30, 2, 0x7fffffff],
			[0xf0, 0x40, 0x0f, 0xff],
			[0xff, 0x50, 0x80000003, 3],
			[3, 0x60, 31, 0x80000000],
			[0x80000000, 0x70, 31, 1],
			[5, 0x80, 0, 0xfffffffb],
			[0, 0x80, 0, 0],
			[0xff00ff00, 0xa0, 0xffffffff, 0x00ff00ff],
		];
		for (const [a, op, k, result] of cases) expect(compute(a, op, k)).toEqual([result, result]);
		expect(run(set(7), setX(0), aluX(0x30), answer(sc.SECCOMP_RET_ALLOW))).toBe(sc.SECCOMP_RET_KILL_THREAD);
	});

	test("keeps words in scratch memory and in its index register", () => {
		expect(run(set(9), [0x02, 0, 0, 15], set(0), [0x60, 0, 0, 15], answerA)).toBe(9);
		expect(run(setX(8), [0x03, 0, 0, 3], [0x61, 0, 0, 3], [0x87, 0, 0, 0], answerA)).toBe(8);
		expect(run(set(6), [0x07, 0, 0, 0], set(0), [0x87, 0, 0, 0], answerA)).toBe(6);
		expect(run(set(9), [0x02, 0, 0, 16], answer(sc.SECCOMP_RET_ALLOW))).toBe(sc.SECCOMP_RET_KILL_THREAD);
	});

	test("jumps on conditions without a sign", () => {
		const taken = (op: number, a: number, k: number) =>
			run(set(a), jump(op, k, 1, 0), answer(0x50000), answer(0x50001)) === 0x50001;
		expect([taken(0x10, 5, 5), taken(0x10, 5, 6)]).toEqual([true, false]);
		expect([taken(0x20, 0xffffffff, 1), taken(0x20, 5, 5)]).toEqual([true, false]);
		expect([taken(0x30, 5, 5), taken(0x30, 1, 0x80000000)]).toEqual([true, false]);
		expect([taken(0x40, 0x80000001, 0x80000000), taken(0x40, 1, 2)]).toEqual([true, false]);
		expect(run([0x05, 0, 0, 1], answer(0x50000), answer(0x50002))).toBe(0x50002);
	});

	test("kills where the kernel would not have taken it", () => {
		const allow = answer(sc.SECCOMP_RET_ALLOW);
		for (const bad of [
			load(2),
			load(64),
			[0x40, 0, 0, 0],
			[0x28, 0, 0, 0],
			[0xf4, 0, 0, 1],
			jump(0xf0, 0, 0, 0),
		] as const)
			expect(run(bad, allow)).toBe(sc.SECCOMP_RET_KILL_THREAD);
		expect(run(set(1))).toBe(sc.SECCOMP_RET_KILL_THREAD);
		expect(run([0x05, 0, 0, 0xffffffff], allow)).toBe(sc.SECCOMP_RET_KILL_THREAD);
		expect(runFilter(new Uint8Array(0), data)).toBe(sc.SECCOMP_RET_KILL_THREAD);
		expect(runFilter(program(allow).subarray(0, 7), data)).toBe(sc.SECCOMP_RET_KILL_THREAD);
	});

	test("of any bytes ends with an answer", () => {
		let seed = 12345;
		const random = () => {
			seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
			return seed >>> 16;
		};
		for (let i = 0; i < 3000; i++) {
			const bytes = Uint8Array.from({ length: random() % 200 }, () => random());
			// Mostly small operands, so that programs get far.
			for (let at = 0; at + 8 <= bytes.length; at += 8) {
				bytes[at + 1] = 0;
				if (random() % 4 !== 0) bytes.fill(0, at + 5, at + 8);
			}
			const value = runFilter(bytes, data);
			expect(Number.isInteger(value) && value >= 0 && value <= 0xffffffff).toBe(true);
		}
	});
});

describe("the strictest answer of all filters counts:", () => {
	const ranks = [
		sc.SECCOMP_RET_KILL_PROCESS,
		sc.SECCOMP_RET_KILL_THREAD,
		sc.SECCOMP_RET_TRAP,
		sc.SECCOMP_RET_ERRNO,
		sc.SECCOMP_RET_USER_NOTIF,
		sc.SECCOMP_RET_TRACE,
		sc.SECCOMP_RET_LOG,
		sc.SECCOMP_RET_ALLOW,
	];

	test("each kind ranks before those that do less", () => {
		for (const [i, strict] of ranks.entries())
			for (const mild of ranks.slice(i)) {
				const filters = [program(answer(strict | 7)), program(answer(mild | 9))];
				expect(judgeCall(filters, call)).toBe(strict);
				expect(judgeCall(filters.reverse(), call)).toBe(strict);
			}
	});

	test("without filters all is allowed", () => {
		expect(judgeCall([], call)).toBe(sc.SECCOMP_RET_ALLOW);
	});

	test("missing arguments are 0, superfluous ones are left out", () => {
		const view = encodeSeccompData({ nr: -1, arch: 0, ip: -1n, args: [1n, 2n, 3n, 4n, 5n, 6n, 7n] });
		expect(view.getInt32(0, true)).toBe(-1);
		expect(view.getBigUint64(8, true)).toBe((1n << 64n) - 1n);
		expect(view.getBigUint64(56, true)).toBe(6n);
		expect(encodeSeccompData({ nr: 1, arch: 0, ip: 0n, args: [] }).getBigUint64(16, true)).toBe(0n);
	});
});
