// SPDX-License-Identifier: GPL-2.0-only
// Registers and vector state: what images hold of a live process, and what a restore would set.

import { describe, expect, test } from "bun:test";
import { resumeFromImage } from "../../../src/agent/interrupted.x86_64.ts";
import { getReg, REG, type Registers } from "../../../src/agent/registers.x86_64.ts";
import { ImageError, UnsupportedError } from "../../../src/errors.ts";
import { user_x86_fpregs_entrySchema, user_x86_xsave_entrySchema } from "../../../src/images/gen/core_pb.ts";
import { create } from "../../../src/images/index.ts";
import { registers } from "../../../src/kinds/task/registers.x86_64.ts";
import {
	decodeXstate,
	describeXstateHost,
	encodeXstate,
	findUnkeptComponents,
} from "../../../src/kinds/task/xstate.x86_64.ts";
import { getRegset, NT_X86_XSTATE, setRegset } from "../../../src/sys/ptrace.ts";
import { dumpLive, emptyPlan, imageOf, lookLive, planKind, restoreContext, Sleeper } from "./fixtures.ts";

const host = describeXstateHost();
const corrupt = (problem: string) => new ImageError("IMAGE_CORRUPT", problem);
const YMM = 1n << 2n;

function regsOf(values: Partial<Record<keyof typeof REG, bigint>>): Registers {
	const regs: Registers = new BigUint64Array(27);
	for (const [name, value] of Object.entries(values)) regs[REG[name as keyof typeof REG]] = BigInt.asUintN(64, value);
	return regs;
}

describe("vector state", () => {
	test("has the length and place that the kernel's regset has", async () => {
		await using sleeper = await Sleeper.start();
		const xstate = lookLive(sleeper.pid, (task) => task.thread.xstate);
		expect(host.size).toBe(xstate.length);
		expect(findUnkeptComponents(xstate)).toBe(0n);
	});

	test("comes back as it was, and the kernel takes it", async () => {
		await using sleeper = await Sleeper.start();
		lookLive(sleeper.pid, ({ thread }) => {
			const bytes = thread.xstate.slice();
			const view = new DataView(bytes.buffer);
			for (let i = 0; i < 16; i++) view.setUint32(160 + 16 * i, 0xabc00000 + i, true);
			if ((host.features & YMM) !== 0n) {
				const { offset, size } = host.componentOf(2);
				for (let i = 0; i < size; i++) bytes[offset + i] = i;
				view.setBigUint64(512, view.getBigUint64(512, true) | YMM, true);
			}
			const made = decodeXstate(encodeXstate(bytes, host), host, corrupt);
			setRegset(thread.tid, NT_X86_XSTATE, made);
			const got = getRegset(thread.tid, NT_X86_XSTATE);
			// Software bytes apart, and with FP and SSE always in use.
			for (const state of [bytes, got]) state.fill(0, 464, 512);
			view.setBigUint64(512, view.getBigUint64(512, true) | 3n, true);
			expect(Buffer.from(got).equals(Buffer.from(bytes))).toBe(true);
			setRegset(thread.tid, NT_X86_XSTATE, thread.xstate);
		});
	});

	test("has arrays for what this CPU has, of the image's sizes", async () => {
		await using sleeper = await Sleeper.start();
		const { xsave } = encodeXstate(
			lookLive(sleeper.pid, (task) => task.thread.xstate),
			host,
		);
		const has = (bit: number) => ((host.features >> BigInt(bit)) & 1n) === 1n;
		expect(xsave?.ymmhSpace.length).toBe(has(2) ? 64 : 0);
		expect(xsave?.hi16Zmm.length).toBe(has(7) ? 128 : 0);
		expect(xsave?.zmmUpper.length).toBe(has(6) ? 64 : 0);
		expect(xsave?.opmaskReg.length).toBe(has(5) ? 8 : 0);
		expect(xsave?.pkru.length).toBe(has(9) ? 2 : 0);
	});

	const legacy = () =>
		create(user_x86_fpregs_entrySchema, {
			cwd: 0x37f,
			swd: 0,
			twd: 0,
			fop: 0,
			rip: 0n,
			rdp: 0n,
			mxcsr: 0x1f80,
			mxcsrMask: 0xffff,
			stSpace: new Array(32).fill(0),
			xmmSpace: new Array(64).fill(0),
		});
	const withXsave = (xstateBv: bigint, arrays: object) =>
		create(user_x86_fpregs_entrySchema, {
			...legacy(),
			xsave: create(user_x86_xsave_entrySchema, { xstateBv, ...arrays }),
		});
	const bare = { ...host, features: 3n };

	test("of a component that this CPU lacks is refused by name, unless it is unused", () => {
		const ymmhSpace = new Array(64).fill(1);
		expect(() => decodeXstate(withXsave(7n, { ymmhSpace }), bare, corrupt)).toThrow(/ymmh_space/);
		expect(decodeXstate(withXsave(3n, { ymmhSpace }), bare, corrupt).length).toBe(host.size);
	});

	test.each([
		["a short ST array", () => ({ ...legacy(), stSpace: [1] })],
		["a short XMM array", () => ({ ...legacy(), xmmSpace: new Array(63).fill(0) })],
		["reserved MXCSR bits", () => ({ ...legacy(), mxcsr: 0x10000 })],
		["a short YMM array", () => withXsave(7n, { ymmhSpace: [1, 2] })],
	])("is refused with %s", (_name, make) => {
		expect(() => decodeXstate(make(), host, corrupt)).toThrow(ImageError);
	});

	test("with bits that no image can hold is refused", () => {
		expect(() => decodeXstate(withXsave(1n << 18n, {}), host, corrupt)).toThrow(UnsupportedError);
	});
});

describe("registers of a live process", () => {
	test("are planned as they were dumped, with a sleep that ends in EINTR", async () => {
		await using sleeper = await Sleeper.start();
		const regs = lookLive(sleeper.pid, (task) => task.thread.regs);
		const draft = dumpLive(sleeper.pid, [registers]);
		const plan = emptyPlan();
		planKind(registers, imageOf(sleeper.pid, draft), plan, restoreContext());
		const got = plan.final.regs ?? regsOf({});
		for (const name of ["ip", "sp", "bx", "r15", "fs_base", "cs", "ss"] as const)
			expect(getReg(got, REG[name])).toBe(getReg(regs, REG[name]));
		expect(getReg(got, REG.ax)).toBe((1n << 64n) - 4n);
		expect(getReg(got, REG.orig_ax)).toBe((1n << 64n) - 1n);
		expect(plan.final.xstate?.length).toBe(host.size);
		expect(plan.final.sigmask).toBe(0n);
		expect(draft.core.threadInfo?.tls.length).toBe(3);
	});

	test("can't set privileged flags, selectors or bases beyond user space", async () => {
		await using sleeper = await Sleeper.start();
		const draft = dumpLive(sleeper.pid, [registers]);
		const { gpregs } = draft.core.threadInfo ?? {};
		Object.assign(gpregs ?? {}, { flags: (1n << 64n) - 1n, cs: 0x10n, ss: 0x18n, ds: 0x7bn });
		if (draft.core.tc !== undefined) draft.core.tc.blkSigset = (1n << 64n) - 1n;
		const plan = emptyPlan();
		planKind(registers, imageOf(sleeper.pid, draft), plan, restoreContext());
		const got = plan.final.regs ?? regsOf({});
		expect(getReg(got, REG.flags) & 0x3000n).toBe(0n);
		expect(getReg(got, REG.cs)).toBe(0x33n);
		expect(getReg(got, REG.ss)).toBe(0x2bn);
		expect(getReg(got, REG.ds)).toBe(0n);
		expect(plan.final.sigmask).toBe(((1n << 64n) - 1n) & ~((1n << 8n) | (1n << 18n)));
		Object.assign(gpregs ?? {}, { gsBase: 1n << 63n });
		expect(() => planKind(registers, imageOf(sleeper.pid, draft), emptyPlan(), restoreContext())).toThrow(/gs_base/);
	});
});

describe("an interrupted call", () => {
	const at = (ax: bigint, nr: bigint, more = {}) => regsOf({ ax, orig_ax: nr, ip: 0x1002n, ...more });
	const again = (regs: Registers) =>
		getReg(regs, REG.ip) === 0x1000n && getReg(regs, REG.ax) === getReg(regs, REG.orig_ax);
	const ended = (regs: Registers) => getReg(regs, REG.ip) === 0x1002n && getReg(regs, REG.ax) === (1n << 64n) - 4n;

	test.each([-512n, -513n, -514n])("with %p is issued again", (error) => {
		expect(again(resumeFromImage(at(error, 34n), "none").regs)).toBe(true);
	});

	test("ends with EINTR where a handler runs first and the kernel would end it", () => {
		expect(ended(resumeFromImage(at(-514n, 34n), "restart").regs)).toBe(true);
		expect(ended(resumeFromImage(at(-512n, 0n), "interrupt").regs)).toBe(true);
		expect(again(resumeFromImage(at(-512n, 0n), "restart").regs)).toBe(true);
		expect(again(resumeFromImage(at(-513n, 0n), "interrupt").regs)).toBe(true);
	});

	test.each([
		["poll without a time limit", 7n, { dx: 0xffffffffn }, true],
		["poll with one", 7n, { dx: 1000n }, false],
		["futex with an absolute limit", 202n, { si: 137n }, true],
		["futex with a relative limit", 202n, { si: 128n }, false],
		["nanosleep that writes over its request", 35n, { di: 0x5000n, si: 0x5000n }, true],
		["nanosleep that doesn't", 35n, { di: 0x5000n, si: 0n }, false],
		["clock_nanosleep that writes over its request", 230n, { dx: 0x5000n, r10: 0x5000n }, true],
		["clock_nanosleep that doesn't", 230n, { dx: 0x5000n, r10: 0x6000n }, false],
		["restart_syscall, whose call nobody knows", 219n, {}, false],
	] as const)("with a restart block: %s", (_name, nr, more, repeated) => {
		const { regs, interrupted } = resumeFromImage(at(-516n, nr, more), "none");
		expect(repeated ? again(regs) : ended(regs)).toBe(true);
		expect(interrupted).toBe(!repeated);
	});

	test("that has ended already stays as it is", () => {
		expect(getReg(resumeFromImage(at(-4n, 0n), "none").regs, REG.ip)).toBe(0x1002n);
		expect(getReg(resumeFromImage(at(-512n, -1n), "none").regs, REG.ip)).toBe(0x1002n);
	});
});
