// SPDX-License-Identifier: GPL-2.0-only
// What leads a thread of 32-bit code to the agent and back, as bytes: chain, calls, instructions. That it works is for scenarios.

import { describe, expect, test } from "bun:test";
import { buildChain, chainSize } from "../../src/agent/chain.ts";
import { findGadgets, type Gadgets, looksLikeIa32 } from "../../src/agent/gadgets.ts";
import { restorerAt } from "../../src/agent/gadgets.x86_64.ts";
import { call32 } from "../../src/agent/ia32-calls.ts";
import { findHole, PLACE_LIMIT_32 } from "../../src/agent/injected.ts";
import {
	mendInterruption,
	nameRestartedCall,
	resumeContext,
	resumeFromImage,
} from "../../src/agent/interrupted.x86_64.ts";
import { getReg, REG, type Registers } from "../../src/agent/registers.x86_64.ts";
import { SYS_getpid, SYS_mmap } from "../../src/kernel/abi/syscalls.x86_64.ts";
import { parseMaps } from "../../src/kernel/procfs/maps.ts";

const EINTR = (1n << 64n) - 4n;

function regsOf(values: Partial<Record<keyof typeof REG, bigint>>): Registers {
	const regs: Registers = new BigUint64Array(27);
	for (const [name, value] of Object.entries({ cs: 0x23n, ss: 0x2bn, ...values }))
		regs[REG[name as keyof typeof REG]] = BigInt.asUintN(64, value);
	return regs;
}

const gadgets: Gadgets = {
	isIa32: true,
	syscallRet: 0xf7f00557n,
	callWords: 3,
	wayOut: restorerAt(0xf7f00580n),
	proof: [],
};

/** An XSAVE image with x87 registers 6 and 7 in use. */
function xstateOf(): Uint8Array {
	const xstate = new Uint8Array(4096);
	const view = new DataView(xstate.buffer);
	view.setUint16(0, 0x37f, true);
	view.setUint16(2, 0x3000, true);
	view.setUint8(4, 0xc0);
	view.setUint16(6, 0x123, true);
	view.setUint32(8, 0x5555, true);
	view.setUint32(16, 0x6666, true);
	for (let i = 0; i < 8; i++) for (let k = 0; k < 10; k++) view.setUint8(32 + 16 * i + k, 16 * i + k);
	view.setBigUint64(464, 3n, true);
	view.setBigUint64(512, 3n, true);
	return xstate;
}

describe("the cure chain of 32-bit code", () => {
	const resume = regsOf({
		ip: 0x8048123n,
		sp: 0xffffd000n,
		ax: 0x1_0000_0007n,
		bx: 2n,
		gs: 0x63n,
		ds: 0x2bn,
		flags: 0x246n,
	});
	const request = {
		gadgets,
		resume,
		stoppedIp: 0x8048125n,
		sigmask: 0x8000000000000001n,
		xstate: xstateOf(),
		area: 0x80000000n,
		areaLength: 0x28000,
	};
	const address = 0xffffc000n;
	const chain = buildChain(request, address);
	const view = new DataView(chain.bytes.buffer);
	const word = (at: bigint) => view.getUint32(Number(at - address), true);

	test("is as long as it says, and begins with words that the call pops", () => {
		expect(chain.bytes.length).toBe(chainSize(request));
		for (const sp of [chain.entrySp, chain.lastSp]) {
			expect(sp % 4n).toBe(0n);
			// pop, pop, pop, ret: to rt_sigreturn.
			expect(word(sp + 12n)).toBe(0xf7f00580);
		}
	});

	test("ends in the registers and the mask that the thread had", () => {
		// rt_sigreturn of 32-bit code finds its frame 4 bytes below esp, which the `ret` has left behind its own word.
		const frame = chain.lastSp + 12n;
		expect(chain.lastSigreturnSp).toBe(frame + 4n);
		expect(chain.frameRax).toBe(frame + 164n + 44n);
		expect(word(chain.frameRax)).toBe(7);
		expect(word(chain.frameRip)).toBe(0x8048123);
		expect(word(chain.frameRip + 4n)).toBe(0x23);
		expect(chain.stoppedRip).toBe(0x23_0804_8125n);
		expect(word(frame + 164n)).toBe(0x63);
		expect(view.getBigUint64(Number(frame - address) + 252, true)).toBe(request.sigmask);
	});

	test("has the x87 state in FSAVE's form before the XSAVE image", () => {
		const fsave = BigInt(word(chain.lastSp + 12n + 164n + 76n));
		const fx = fsave + 112n;
		expect(fx % 64n).toBe(0n);
		// Tags: two bits for each register, 3 for those that are empty.
		expect([0, 1, 2].map((i) => word(fsave + BigInt(4 * i)))).toEqual([0xffff037f, 0xffff3000, 0xffff0fff]);
		expect([3, 4, 5].map((i) => word(fsave + BigInt(4 * i)))).toEqual([0x5555, 0x1230023, 0x6666]);
		expect(chain.bytes[Number(fsave - address) + 28 + 10 * 7 + 9]).toBe(16 * 7 + 9);
		expect(word(fx + 464n)).toBe(0x46505853);
		expect(word(fx + BigInt(word(fx + 464n + 16n)))).toBe(0x46505845);
	});

	test("leads the agent, 64-bit code, to the call that takes its memory away", () => {
		const context = chain.sigreturnSp + 40n;
		const long = (at: bigint) => view.getBigUint64(Number(at - address), true);
		expect(long(context + 104n)).toBe(91n);
		expect([88n, 112n].map((at) => long(context + at))).toEqual([0x80000000n, 0x28000n]);
		expect([120n, 128n].map((at) => long(context + at))).toEqual([chain.lastSp, gadgets.syscallRet]);
		expect(view.getUint16(Number(context - address) + 144, true)).toBe(0x23);
	});

	test("is but the last frame for other threads, with room for their entry below", () => {
		const short = buildChain({ ...request, isShort: true }, address);
		expect(short.entrySp).toBe(short.lastSp);
		expect(short.lastSp - address).toBeGreaterThanOrEqual(72n);
		expect(short.bytes.length).toBeLessThan(chain.bytes.length);
	});
});

describe("injection into 32-bit code", () => {
	test("finds room below 4 GiB", () => {
		const vmas = [
			{ start: 0x8048000n, end: 0x8050000n },
			{ start: 0xf7000000n, end: 0xf8000000n },
			{ start: 0xfff00000n, end: 0xffffe000n },
			{ start: 0xffffffffff600000n, end: 0xffffffffff601000n },
		];
		const hole = findHole(vmas, 0x28000, PLACE_LIMIT_32);
		expect(hole).toBe(((0x8050000n + 0xf7000000n) / 2n) & ~0xfffffn);
		const full = [{ start: 0x10000n, end: 0xffff0000n }];
		expect(() => findHole(full, 0x28000, PLACE_LIMIT_32)).toThrow(expect.objectContaining({ code: "NO_HOLE" }));
	});

	test("is for programs all of whose mappings lie there", () => {
		const maps = (lines: string) => parseMaps(Buffer.from(lines));
		const low = "08048000-08050000 r-xp 00000000 fe:00 11 /bin/a\n";
		const vsyscall = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";
		expect(looksLikeIa32(maps(low + vsyscall))).toBe(true);
		expect(looksLikeIa32(maps(`${low}7ffc00000000-7ffc00001000 rw-p 00000000 00:00 0 [stack]\n`))).toBe(false);
	});

	test("has no instructions in a process without mappings", () => {
		expect(findGadgets(process.pid, [], true)).toBeUndefined();
	});

	test("makes its calls by 32-bit numbers and registers", () => {
		const call = call32(SYS_mmap, [0x80000000n, 4096n, 7n, 0x21n, (1n << 64n) - 1n, 0n]);
		expect(call).toEqual({ ax: 192n, bx: 0x80000000n, cx: 4096n, dx: 7n, si: 0x21n, di: 0xffffffffn, bp: 0n });
		expect(() => call32(SYS_getpid, [])).toThrow("no 32-bit call");
	});
});

describe("an interrupted call of 32-bit code", () => {
	const at = (ax: bigint, nr: bigint, more = {}) => regsOf({ ax, orig_ax: nr, ip: 0x1002n, ...more });
	const isAgain = (regs: Registers) =>
		getReg(regs, REG.ip) === 0x1000n && getReg(regs, REG.ax) === getReg(regs, REG.orig_ax);

	test.each([-512n, 0xfffffe00n])("with -ERESTARTSYS (%p) is issued again", (ax) => {
		expect(isAgain(resumeFromImage(at(ax, 3n), "none").regs)).toBe(true);
	});

	test.each([
		["epoll_wait", 256n, {}, true],
		["semtimedop", 117n, { bx: 4n }, true],
		["msgrcv, version 1", 117n, { bx: 0x1000cn }, true],
		["shmat", 117n, { bx: 21n }, false],
		["read", 3n, {}, false],
	] as const)("that has ended with EINTR by the stop: %s", (_name, nr, more, mended) => {
		expect(mendInterruption(at(-4n, nr, more)) !== undefined).toBe(mended);
	});

	test.each([
		["poll without a time limit", 168n, { dx: 0xffffffffn }, true],
		["poll with one", 168n, { dx: 1000n }, false],
		["futex with an absolute limit", 240n, { cx: 137n }, true],
		["futex_time64 with a relative limit", 422n, { cx: 128n }, false],
		["nanosleep that writes over its request", 162n, { bx: 0x5000n, cx: 0x5000n }, true],
		["clock_nanosleep_time64 that writes over its request", 407n, { dx: 0x5000n, si: 0x5000n }, true],
		["clock_nanosleep that doesn't", 267n, { dx: 0x5000n, si: 0x6000n }, false],
		["restart_syscall, whose call nobody knows", 0n, {}, false],
	] as const)("with a restart block: %s", (_name, nr, more, repeated) => {
		const { regs, interrupted } = resumeFromImage(at(-516n, nr, more), "none");
		expect(repeated ? isAgain(regs) : getReg(regs, REG.ax) === EINTR).toBe(true);
		expect(interrupted).toBe(!repeated);
	});

	test("gets its number back from the code before it", () => {
		const memory = new Map<bigint, number[]>([
			[0x1002n, [0x5d, 0x5a, 0x59, 0xc3]],
			[0x2000n + 12n, [0x0c, 0x30, 0, 0]],
			[0x3005n, [0x65, 0xff, 0x15, 0x10, 0, 0, 0]],
			[0x3000n, [0xb8, 0xa2, 0, 0, 0]],
		]);
		const read = (address: bigint, length: number) => {
			const bytes = memory.get(address);
			if (bytes === undefined || bytes.length < length) throw new Error("EFAULT");
			return Uint8Array.from(bytes);
		};
		const stopped = at(-516n, 0n, { sp: 0x2000n });
		expect(getReg(nameRestartedCall(stopped, read), REG.orig_ax)).toBe(162n);
		memory.delete(0x3005n);
		const unnamed = nameRestartedCall(stopped, read);
		expect(getReg(unnamed, REG.orig_ax)).toBe(0n);
		// Nothing but its end by EINTR is left then.
		expect(getReg(resumeContext(unnamed).regs, REG.ax)).toBe(EINTR);
	});
});
