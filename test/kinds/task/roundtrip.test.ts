// SPDX-License-Identifier: GPL-2.0-only
// What the plans of task kinds do to a live process is what their dumps find in it.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Program } from "../../../src/agent/program.ts";
import * as pb from "../../../src/images/gen/core_pb.ts";
import { create } from "../../../src/images/index.ts";
import { Siginfo } from "../../../src/kernel/abi/siginfo.ts";
import { SYS_mmap } from "../../../src/kernel/abi/syscalls.x86_64.ts";
import type { TaskDraft, TaskKind } from "../../../src/kinds/kind.ts";
import { comm } from "../../../src/kinds/task/comm.ts";
import { creds, encodeCaps } from "../../../src/kinds/task/creds.ts";
import { pendingSignals } from "../../../src/kinds/task/pending-signals.ts";
import { personality } from "../../../src/kinds/task/personality.ts";
import { prctlMisc } from "../../../src/kinds/task/prctl-misc.ts";
import { rlimits } from "../../../src/kinds/task/rlimits.ts";
import { robustList } from "../../../src/kinds/task/robust-list.ts";
import { schedule } from "../../../src/kinds/task/sched.ts";
import { ACTION_SIGNALS, sigactions } from "../../../src/kinds/task/sigactions.ts";
import { sigaltstack } from "../../../src/kinds/task/sigaltstack.ts";
import { tidAddress } from "../../../src/kinds/task/tid-address.ts";
import { timers } from "../../../src/kinds/task/timers.ts";
import { applyLive, dumpLive, emptyPlan, imageOf, planKind, restoreContext, Sleeper } from "./fixtures.ts";
import { applyAndPeek } from "./live-signals.ts";

const AREA = 0x12340000n;

/** Changes a dump of a live process, applies it to the process, and dumps that again. */
async function roundTrip(
	kinds: readonly TaskKind[],
	change: (draft: TaskDraft, pid: number) => void,
): Promise<{ want: TaskDraft; got: TaskDraft }> {
	await using sleeper = await Sleeper.start();
	const want = dumpLive(sleeper.pid, kinds);
	change(want, sleeper.pid);
	const plan = emptyPlan();
	plan.programs.tree.append(mapArea());
	const image = imageOf(sleeper.pid, want);
	for (const kind of kinds) planKind(kind, image, plan, restoreContext());
	applyLive(sleeper.pid, plan);
	return { want, got: dumpLive(sleeper.pid, kinds) };
}

function mapArea(): Program {
	const program = new Program();
	program.syscall("map some memory", SYS_mmap, [AREA, 0x10000, 3, 0x100022, -1, 0]);
	return program;
}

const tcOf = (draft: TaskDraft) => draft.core.tc ?? create(pb.task_core_entrySchema);
const threadOf = (draft: TaskDraft) => draft.core.threadCore ?? create(pb.thread_core_entrySchema);

describe("a live process", () => {
	test("gets name, personality and attributes of prctl", async () => {
		const { want, got } = await roundTrip([comm, personality, prctlMisc], (draft) => {
			tcOf(draft).comm = new TextEncoder().encode("a (new) name");
			threadOf(draft).comm = tcOf(draft).comm;
			tcOf(draft).personality = 4260000;
			tcOf(draft).childSubreaper = true;
			tcOf(draft).membarrierRegistrationMask = (1 << 4) | (1 << 6);
			threadOf(draft).pdeathSig = 12;
			draft.mm.dumpable = 0;
			draft.mm.thpDisabled = true;
		});
		tcOf(got).flags = tcOf(want).flags;
		// The kernel reports further registrations that the asked ones imply.
		expect(tcOf(got).membarrierRegistrationMask & ((1 << 4) | (1 << 6))).toBe((1 << 4) | (1 << 6));
		tcOf(got).membarrierRegistrationMask = tcOf(want).membarrierRegistrationMask;
		expect(got).toEqual(want);
	});

	test("gets signal actions, an alternate stack, a robust list and a clear address", async () => {
		const { want, got } = await roundTrip([sigactions, sigaltstack, robustList, tidAddress], (draft) => {
			const actions = tcOf(draft).sigactions;
			for (const [i, action] of actions.entries()) {
				if (i % 3 === 0) Object.assign(action, { sigaction: 1n });
				if (i % 3 === 1)
					Object.assign(action, {
						sigaction: 0x401000n + BigInt(i),
						flags: 0x14000004n,
						restorer: 0x402000n,
						mask: 0x600n,
					});
			}
			threadOf(draft).sas = create(pb.thread_sas_entrySchema, { ssSp: AREA, ssSize: 0x4000n, ssFlags: 0x80000000 });
			threadOf(draft).futexRla = AREA + 0x8000n;
			threadOf(draft).futexRlaLen = 24;
			draft.core.threadInfo = create(pb.thread_info_x86Schema, { clearTidAddr: AREA + 0x9000n });
		});
		expect(got.core.tc).toEqual(want.core.tc);
		expect(got.core.threadCore).toEqual(want.core.threadCore);
		expect(tcOf(got).sigactions.length).toBe(ACTION_SIGNALS.length);
	});

	test("gets policy, priority and limits", async () => {
		const { want, got } = await roundTrip([schedule, rlimits], (draft) => {
			Object.assign(threadOf(draft), { schedPolicy: 0x40000003, schedNice: 7 });
			const limits = tcOf(draft).rlimits?.rlimits ?? [];
			for (const i of [1, 4, 7, 8, 11]) Object.assign(limits[i] ?? {}, { cur: 64n, max: 128n });
		});
		expect(got.core).toEqual(want.core);
	});

	test("gets real-time scheduling", async () => {
		const { want, got } = await roundTrip([schedule], (draft) => {
			Object.assign(threadOf(draft), { schedPolicy: 1, schedPrio: 5, schedNice: -3 });
		});
		expect(got.core).toEqual(want.core);
	});

	test("gets pending signals with their siginfo and order", async () => {
		const info = (signo: number, code: number, n: number) =>
			create(pb.siginfo_entrySchema, {
				siginfo: Siginfo.encode({
					si_signo: signo,
					si_code: code,
					si_pid: 100 + n,
					si_uid: 200 + n,
					si_value: BigInt(n) << 33n,
				}),
			});
		await using sleeper = await Sleeper.start(["sh", "-c", "trap '' CONT TSTP; exec sleep 1000"]);
		const draft = dumpLive(sleeper.pid, [pendingSignals]);
		const shared = [info(34, -1, 1), info(34, -1, 2), info(40, -2, 3), info(12, 0, 4), info(17, 1, 5)];
		const own = [info(34, -6, 6), info(11, 128, 7), info(35, -1, 8)];
		tcOf(draft).signalsS = create(pb.signal_queue_entrySchema, { signals: shared });
		threadOf(draft).signalsP = create(pb.signal_queue_entrySchema, { signals: own });
		const plan = emptyPlan();
		planKind(pendingSignals, imageOf(sleeper.pid, draft), plan, restoreContext());
		// They would be delivered as soon as the agent has gone, so the dump comes while it is there.
		const found = applyAndPeek(sleeper.pid, plan.programs.signals);
		const bytes = (list: readonly pb.siginfo_entry[]) =>
			list.map(({ siginfo }) => Buffer.from(siginfo).toString("hex"));
		const timer = shared[2];
		if (timer !== undefined) timer.siginfo.fill(0, 32, 36);
		expect(found.shared).toEqual(bytes(shared));
		expect(found.own).toEqual(bytes(own));
	});

	test("gets timers with their ids, clocks and remaining times", async () => {
		const timer = (itId: number, init: object) =>
			create(pb.posix_timer_entrySchema, {
				...{ itId, clockId: 1, siSigno: 10, itSigevNotify: 0, sivalPtr: 0xabc00000000n + BigInt(itId), overrun: 0 },
				...{ isec: 0n, insec: 0n, vsec: 5000n, vnsec: 1n },
				...init,
			});
		const { want, got } = await roundTrip([timers], (draft, pid) => {
			const own = tcOf(draft).timers;
			if (own === undefined) return;
			own.posix = [
				timer(90001, { clockId: 7, itSigevNotify: 1, siSigno: 0 }),
				timer(17, { itSigevNotify: 4, siSigno: 40, notifyThreadId: pid, isec: 60n }),
				timer(3, { clockId: 0xfffffffa, siSigno: 41 }),
				timer(0, { clockId: 0, vsec: 0n, vnsec: 0n }),
			];
			Object.assign(own.real ?? {}, { isec: 7n, iusec: 5n, vsec: 4000n });
			Object.assign(own.prof ?? {}, { isec: 0n, iusec: 0n, vsec: 3000n });
		});
		const [have, expected] = [got, want].map((draft) => tcOf(draft).timers);
		const timeless = (entry: pb.posix_timer_entry) => ({ ...entry, vsec: 0n, vnsec: 0n });
		const ascending = [...(expected?.posix ?? [])].reverse();
		expect(have?.posix.map(timeless)).toEqual(ascending.map(timeless));
		for (const [i, entry] of (have?.posix ?? []).entries()) {
			const before = ascending[i]?.vsec ?? 0n;
			expect(before - entry.vsec <= 10n).toBe(true);
		}
		expect(have?.real?.isec).toBe(7n);
		expect(have?.real?.iusec).toBe(5n);
		expect(have?.real?.vsec === 3999n || have?.real?.vsec === 4000n).toBe(true);
		expect(have?.prof?.vsec === 2999n || have?.prof?.vsec === 3000n).toBe(true);
	});
});

describe("credentials of a live process", () => {
	const dumpAgain = (change: (entry: pb.creds_entry) => void) =>
		roundTrip([creds, prctlMisc], (draft) => {
			const entry = threadOf(draft).creds;
			if (entry !== undefined) change(entry);
			threadOf(draft).pdeathSig = 10;
		});

	test("become those of another user without capabilities", async () => {
		const { want, got } = await dumpAgain((entry) => {
			Object.assign(entry, {
				uid: 1000,
				euid: 1001,
				suid: 1002,
				fsuid: 1001,
				gid: 2000,
				egid: 2001,
				sgid: 2002,
				fsgid: 2002,
			});
			Object.assign(entry, { groups: [4, 2000, 70000], capPrm: [0, 0], capEff: [0, 0], secbits: 0, noNewPrivs: 1 });
		});
		expect(got.core.threadCore).toEqual(want.core.threadCore);
		expect(got.mm).toEqual(want.mm);
	});

	test("keep odd sets: ambient and inheritable ones, a small bounding set, locked securebits", async () => {
		const keep = (1n << 10n) | (1n << 40n) | (1n << 7n);
		const { want, got } = await dumpAgain((entry) => {
			Object.assign(entry, { uid: 1234, euid: 1234, suid: 1234, fsuid: 99, groups: [] });
			Object.assign(entry, {
				capPrm: encodeCaps(keep),
				capEff: encodeCaps(1n << 10n),
				capInh: encodeCaps(keep | (1n << 3n)),
			});
			Object.assign(entry, { capAmb: encodeCaps((1n << 10n) | (1n << 40n)), capBnd: encodeCaps(keep), secbits: 0xd3 });
		});
		expect(got.core.threadCore).toEqual(want.core.threadCore);
	});

	test("stay as they are for root without a single call", async () => {
		await using sleeper = await Sleeper.start();
		const plan = emptyPlan();
		planKind(creds, imageOf(sleeper.pid, dumpLive(sleeper.pid, [creds])), plan, restoreContext());
		expect(plan.programs.creds.ops).toEqual([]);
	});
});

test("all questions leave a process as it was", async () => {
	await using sleeper = await Sleeper.start();
	const look = () =>
		readFileSync(`/proc/${sleeper.pid}/status`, "latin1").replace(/.*ctxt_switches.*\n|Vm.*\n|Rss.*\n/g, "");
	const before = look();
	dumpLive(sleeper.pid, [sigactions, sigaltstack, tidAddress, prctlMisc, timers, creds]);
	for (let tries = 0; look() !== before && tries < 100; tries++) await Bun.sleep(5);
	expect(look()).toBe(before);
});
