// SPDX-License-Identifier: GPL-2.0-only
// Plans from hand-made images: what they hold, and that damaged fields are refused by name.

import { describe, expect, test } from "bun:test";
import { ImageError } from "../../../src/errors.ts";
import * as pb from "../../../src/images/gen/core_pb.ts";
import { create } from "../../../src/images/index.ts";
import { Siginfo } from "../../../src/kernel/abi/siginfo.ts";
import type { TaskDraft, TaskImage, TaskKind } from "../../../src/kinds/kind.ts";
import { comm } from "../../../src/kinds/task/comm.ts";
import { creds, encodeCaps } from "../../../src/kinds/task/creds.ts";
import { outside } from "../../../src/kinds/task/outside.ts";
import { pendingSignals } from "../../../src/kinds/task/pending-signals.ts";
import { decodePersonality, encodePersonality } from "../../../src/kinds/task/personality.ts";
import { prctlMisc } from "../../../src/kinds/task/prctl-misc.ts";
import { refusals } from "../../../src/kinds/task/refusals.ts";
import { rlimits } from "../../../src/kinds/task/rlimits.ts";
import { robustList } from "../../../src/kinds/task/robust-list.ts";
import { rseq } from "../../../src/kinds/task/rseq.ts";
import { schedule } from "../../../src/kinds/task/sched.ts";
import { parseLabel } from "../../../src/kinds/task/security-label.ts";
import { session } from "../../../src/kinds/task/session.ts";
import { sigactions } from "../../../src/kinds/task/sigactions.ts";
import { sigaltstack } from "../../../src/kinds/task/sigaltstack.ts";
import { timers } from "../../../src/kinds/task/timers.ts";
import { tracees } from "../../../src/kinds/task/tracees.ts";
import {
	dumpContext,
	emptyDraft,
	emptyPlan,
	fakeStatus,
	imageOf,
	lookLive,
	planKind,
	restoreContext,
	Sleeper,
	told,
} from "./fixtures.ts";

const PID = 4321;
const FULL = (1n << 41n) - 1n;
const BOUND = FULL & ~(1n << 24n);
const rootStatus = fakeStatus({
	...{ Uid: "0\t0\t0\t0", Gid: "0\t0\t0\t0", Groups: "0 ", NoNewPrivs: "0", CapAmb: "0", CapInh: "0" },
	...{ CapPrm: BOUND.toString(16), CapEff: BOUND.toString(16), CapBnd: BOUND.toString(16), SigIgn: "0000000000001000" },
});
const known = {
	"own:status": rootStatus,
	"own:securebits": 0,
	"own:schedule": { policy: 0, priority: 0, resetOnFork: false, nice: 0 },
	"own:limits": Array.from({ length: 16 }, () => ({ cur: 100n, max: 200n })),
	"own:oom_score_adj": 0,
	"own:loginuid": undefined,
	"host:timer-ids": true,
};

function planOf(
	kind: TaskKind,
	change: (draft: TaskDraft, tc: pb.task_core_entry, thread: pb.thread_core_entry) => void,
	facts: object = {},
) {
	const draft = emptyDraft();
	const { tc = create(pb.task_core_entrySchema), threadCore = create(pb.thread_core_entrySchema) } = draft.core;
	change(draft, tc, threadCore);
	const plan = emptyPlan();
	planKind(kind, imageOf(PID, draft), plan, restoreContext({ ...known, ...facts }));
	return plan;
}

const rootCreds = (init: object = {}) =>
	create(pb.creds_entrySchema, {
		...{ uid: 0, gid: 0, euid: 0, egid: 0, suid: 0, sgid: 0, fsuid: 0, fsgid: 0, secbits: 0, groups: [0] },
		...{
			capInh: [0, 0],
			capPrm: encodeCaps(BOUND),
			capEff: encodeCaps(BOUND),
			capBnd: encodeCaps(BOUND),
			capAmb: [0, 0],
		},
		...init,
	});
const credsOf = (init: object) =>
	planOf(creds, (_draft, _tc, thread) => void Object.assign(thread, { creds: rootCreds(init) }));
const siginfoOf = (si_signo: number) => Siginfo.encode({ si_signo, si_code: 0, si_pid: 1 });
const queueOf = (...infos: Uint8Array[]) =>
	create(pb.signal_queue_entrySchema, { signals: infos.map((siginfo) => create(pb.siginfo_entrySchema, { siginfo })) });
const itimer = (init: object = {}) =>
	create(pb.itimer_entrySchema, { isec: 0n, iusec: 0n, vsec: 0n, vusec: 0n, ...init });
const posix = (init: object = {}) =>
	create(pb.posix_timer_entrySchema, {
		...{ itId: 1, clockId: 1, siSigno: 10, itSigevNotify: 0, sivalPtr: 0n, overrun: 0 },
		...{ isec: 0n, insec: 0n, vsec: 9n, vnsec: 0n },
		...init,
	});
const timersOf =
	(real: object, ...list: pb.posix_timer_entry[]) =>
	(tc: pb.task_core_entry) => {
		tc.timers = create(pb.task_timers_entrySchema, { real: itimer(real), virt: itimer(), prof: itimer(), posix: list });
	};

describe("a damaged image is refused by the field's name", () => {
	const cases: [string, TaskKind, (draft: TaskDraft, tc: pb.task_core_entry, thread: pb.thread_core_entry) => void][] =
		[
			["tc.task_state", comm, (_d, tc) => void Object.assign(tc, { taskState: 6 })],
			["tc.stop_signo", comm, (_d, tc) => void Object.assign(tc, { taskState: 3, stopSigno: 9 })],
			["tc.sigactions", sigactions, (_d, tc) => void Object.assign(tc, { sigactions: [create(pb.sa_entrySchema)] })],
			[
				"sas.ss_size",
				sigaltstack,
				(_d, _t, thread) =>
					void Object.assign(thread, { sas: create(pb.thread_sas_entrySchema, { ssSp: 1n, ssSize: 5n, ssFlags: 0 }) }),
			],
			[
				"sas.ss_flags",
				sigaltstack,
				(_d, _t, thread) =>
					void Object.assign(thread, { sas: create(pb.thread_sas_entrySchema, { ssSp: 1n, ssSize: 5n, ssFlags: 64 }) }),
			],
			["futex_rla_len", robustList, (_d, _t, thread) => void Object.assign(thread, { futexRla: 1n, futexRlaLen: 12 })],
			[
				"rseq_abi_size",
				rseq,
				(_d, _t, thread) =>
					void Object.assign(thread, {
						rseqEntry: create(pb.rseq_entrySchema, { rseqAbiPointer: 32n, rseqAbiSize: 9, signature: 0 }),
					}),
			],
			["pdeath_sig", prctlMisc, (_d, _t, thread) => void Object.assign(thread, { pdeathSig: 70 })],
			[
				"membarrier_registration_mask",
				prctlMisc,
				(_d, tc) => void Object.assign(tc, { membarrierRegistrationMask: 1 }),
			],
			["dumpable", prctlMisc, (draft) => void Object.assign(draft.mm, { dumpable: 3 })],
			["sched_policy", schedule, (_d, _t, thread) => void Object.assign(thread, { schedPolicy: 6 })],
			["sched_prio", schedule, (_d, _t, thread) => void Object.assign(thread, { schedPolicy: 0, schedPrio: 5 })],
			["sched_nice", schedule, (_d, _t, thread) => void Object.assign(thread, { schedPolicy: 0, schedNice: 20 })],
			["tc.rlimits", rlimits, () => {}],
			["tc.timers", timers, () => {}],
			["tc.timers.real.iusec", timers, (_d, tc) => timersOf({ iusec: 1000000n })(tc)],
			["vnsec", timers, (_d, tc) => timersOf({}, posix({ vnsec: 1n << 40n }))(tc)],
			["twice", timers, (_d, tc) => timersOf({}, posix(), posix())(tc)],
			["si_signo", timers, (_d, tc) => timersOf({}, posix({ siSigno: 65 }))(tc)],
			["it_sigev_notify", timers, (_d, tc) => timersOf({}, posix({ itSigevNotify: 3 }))(tc)],
			["notify_thread_id", timers, (_d, tc) => timersOf({}, posix({ itSigevNotify: 4, notifyThreadId: 1 }))(tc)],
			["tc.signals_s", pendingSignals, (_d, tc) => void Object.assign(tc, { signalsS: queueOf(new Uint8Array(127)) })],
			[
				"thread_core.signals_p",
				pendingSignals,
				(_d, _t, thread) => void Object.assign(thread, { signalsP: queueOf(siginfoOf(65)) }),
			],
			["signal 9", pendingSignals, (_d, tc) => void Object.assign(tc, { signalsS: queueOf(siginfoOf(9)) })],
			["thread_core.creds", creds, () => {}],
			["cap_eff", creds, (_d, _t, thread) => void Object.assign(thread, { creds: rootCreds({ capPrm: [0, 0] }) })],
			["cap_prm", creds, (_d, _t, thread) => void Object.assign(thread, { creds: rootCreds({ capPrm: [0, 0, 0] }) })],
			["cap_amb", creds, (_d, _t, thread) => void Object.assign(thread, { creds: rootCreds({ capAmb: [1, 0] }) })],
			["creds.euid", creds, (_d, _t, thread) => void Object.assign(thread, { creds: rootCreds({ euid: 0xffffffff }) })],
			[
				"creds.groups",
				creds,
				(_d, _t, thread) => void Object.assign(thread, { creds: rootCreds({ groups: new Array(65537).fill(1) }) }),
			],
			[
				"creds.secbits",
				creds,
				(_d, _t, thread) => void Object.assign(thread, { creds: rootCreds({ secbits: 0x100 }) }),
			],
			["tc.oom_score_adj", outside, (_d, tc) => void Object.assign(tc, { oomScoreAdj: 1001 })],
		];
	test.each(cases)("%s", (field, kind, change) => {
		expect(() => planOf(kind, change)).toThrow(ImageError);
		expect(() => planOf(kind, change)).toThrow(new RegExp(`^core-${PID}\\.img: .*${field.replaceAll(".", "\\.")}`));
	});
});

describe("session", () => {
	const imageWith = (init: object): TaskImage => ({
		...imageOf(PID),
		pstree: Object.assign(imageOf(PID).pstree, init),
	});

	test("of somebody else needs --shell-job", () => {
		const image = imageWith({ sid: 77, pgid: 77 });
		expect(() => planKind(session, image, emptyPlan(), restoreContext())).toThrow(/session leader/);
		planKind(session, image, emptyPlan(), restoreContext({}, { shellJob: true }));
		planKind(session, imageOf(PID), emptyPlan(), restoreContext());
	});

	test("is led from its own group", () => {
		expect(() => planKind(session, imageWith({ pgid: 77 }), emptyPlan(), restoreContext())).toThrow(ImageError);
	});

	test("a dump of a task that leads none names --shell-job", async () => {
		await using sleeper = await Sleeper.start();
		const task = lookLive(sleeper.pid, (found) => found);
		const status = { ...task.status, nsSid: [77] };
		const find = (options = {}) => session.findBlockers?.({ ...task, status }, dumpContext(options)) ?? [];
		expect(find()).toMatchObject([{ code: "NOT_SESSION_LEADER", remedy: expect.stringContaining("--shell-job") }]);
		expect(find({ shellJob: true })).toEqual([]);
		expect(session.findBlockers?.(task, dumpContext())).toEqual([]);
	});
});

describe("plans", () => {
	test("stop a stopped task before it runs", () => {
		const plan = planOf(comm, (_d, tc) => void Object.assign(tc, { taskState: 3, comm: new Uint8Array(26).fill(97) }));
		expect(plan.beforeDetach.map(({ what }) => what)).toEqual(["stop it again"]);
		expect(plan.programs.state.ops[0]?.args[1]).toEqual(new Uint8Array([...new Array(15).fill(97), 0]));
	});

	test("set only signal actions that aren't what a new process has", () => {
		const plan = planOf(sigactions, (_d, tc) => {
			tc.sigactions = Array.from({ length: 62 }, () => create(pb.sa_entrySchema));
			Object.assign(tc.sigactions[0] ?? {}, { sigaction: 1n });
		});
		// SIGPIPE is ignored by criu here, so it has to be set back.
		expect(told(plan, "state")).toEqual(["set the action of SIGHUP", "set the action of SIGPIPE"]);
	});

	test("set limits that differ, cut to the hard one", () => {
		const entry = (cur: bigint, max: bigint) => create(pb.rlimit_entrySchema, { cur, max });
		const plan = planOf(rlimits, (_d, tc) => {
			tc.rlimits = create(pb.task_rlimits_entrySchema, { rlimits: [entry(100n, 200n), entry(150n, 120n)] });
		});
		expect(told(plan, "creds")).toEqual(["set limit FSIZE"]);
		expect(plan.programs.creds.ops[0]?.args[2]).toEqual(new Uint8Array(new BigUint64Array([120n, 120n]).buffer));
	});

	test("say so when a hard limit can't be raised", () => {
		const change = (_d: TaskDraft, tc: pb.task_core_entry) => {
			const rlimits = [create(pb.rlimit_entrySchema, { cur: 1n, max: 201n })];
			tc.rlimits = create(pb.task_rlimits_entrySchema, { rlimits });
		};
		expect(() => planOf(rlimits, change)).toThrow(/hard limit CPU 201, criu has 200/);
		const able = { "own:status": { ...rootStatus, capEff: FULL } };
		expect(told(planOf(rlimits, change, able), "creds")).toEqual(["set limit CPU"]);
	});

	test("arm what counts, interval timers last", () => {
		const plan = planOf(timers, (_d, tc) =>
			timersOf({ isec: 5n }, posix({ itId: 9 }), posix({ itId: 2, vsec: 0n }))(tc),
		);
		expect(told(plan, "signals")).toEqual([
			"choose how timers get ids",
			"make timer 2",
			"make timer 9",
			"choose how timers get ids",
		]);
		expect(told(plan, "arm")).toEqual(["arm timer 9", "arm the real interval timer"]);
	});

	test("count up to a timer's id on older kernels, within reason", () => {
		const facts = { "host:timer-ids": false };
		const plan = planOf(timers, (_d, tc) => timersOf({}, posix({ itId: 2 }))(tc), facts);
		expect(plan.programs.signals.ops.length).toBe(5);
		const far = (_d: TaskDraft, tc: pb.task_core_entry) => timersOf({}, posix({ itId: 1 << 30 }))(tc);
		expect(() => planOf(timers, far, facts)).toThrow(/can't be asked for/);
	});

	test("send SIGSTOP late instead of queueing it", () => {
		const plan = planOf(
			pendingSignals,
			(_d, tc) => void Object.assign(tc, { signalsS: queueOf(siginfoOf(19), siginfoOf(12)) }),
		);
		expect(told(plan, "signals")).toEqual(["queue SIGUSR2"]);
		expect(plan.beforeDetach.length).toBe(1);
	});

	test("put the pointer of a section that signals don't abort back at the very end", () => {
		const plan = planOf(rseq, (_d, _t, thread) => {
			thread.rseqEntry = create(pb.rseq_entrySchema, {
				rseqAbiPointer: 64n,
				rseqAbiSize: 32,
				signature: 7,
				rseqCsPointer: 128n,
			});
		});
		expect(plan.programs.signals.ops[0]?.args).toEqual([64n, 32, 0, 7]);
		expect(plan.beforeDetach.length).toBe(1);
	});
});

describe("credentials", () => {
	test("of root need no call", () => expect(credsOf({}).programs.creds.ops).toEqual([]));

	test("of a user change in the order that keeps privileges until the end", () => {
		const plan = credsOf({
			uid: 5,
			euid: 5,
			suid: 5,
			fsuid: 5,
			gid: 6,
			egid: 6,
			sgid: 6,
			fsgid: 6,
			groups: [],
			capPrm: [0, 0],
			capEff: [0, 0],
		});
		expect(told(plan, "creds")).toEqual([
			"set supplementary groups",
			"set group ids",
			"keep capabilities while ids change",
			"set user ids",
			"set securebits",
			"set capabilities",
		]);
	});

	test("that criu lacks are refused by name", () => {
		expect(() => credsOf({ capPrm: encodeCaps(FULL) })).toThrow(/sys_resource/);
	});

	test("of an unknown label are refused", () => {
		expect(() => credsOf({ lsmProfile: "no-such-profile" })).toThrow(/no-such-profile/);
	});
});

test("labels are names without modes", () => {
	expect(parseLabel("docker-default (enforce)\n")).toBe("docker-default");
	expect(parseLabel("unconfined\n")).toBeUndefined();
	expect(parseLabel("system_u:system_r:init_t:s0\0")).toBe("system_u:system_r:init_t:s0");
});

test("a personality takes the form of the original's images", () => {
	expect(encodePersonality(0x40000)).toEqual({ stored: 40000, exact: true });
	expect(decodePersonality(40000)).toBe(0x40000);
	expect(encodePersonality(0xc0000).exact).toBe(false);
	expect(decodePersonality(4294967295)).toBeUndefined();
});

describe("refusals", () => {
	test("name what stops a dump", async () => {
		await using sleeper = await Sleeper.start();
		const task = lookLive(sleeper.pid, (found) => found);
		expect(refusals.findBlockers?.(task, dumpContext())).toEqual([]);
		const status = { ...task.status, tracerPid: 1, threadFeatures: ["shstk"] };
		const found = [refusals, tracees].flatMap((kind) => kind.findBlockers?.({ ...task, status }, dumpContext()) ?? []);
		expect(found.map(({ code }) => code)).toEqual(["UNSUPPORTED_SHSTK", "TRACED"]);
		const dead = { ...task, stat: { ...task.stat, state: "Z" } };
		expect(refusals.findBlockers?.(dead, dumpContext()).map(({ code }) => code)).toEqual(["UNSUPPORTED_ZOMBIE"]);
	});

	test("hold for images too", () => {
		expect(() =>
			planOf(refusals, (draft) => void Object.assign(draft.core, { mtype: pb.core_entry_march.AARCH64 })),
		).toThrow(/another kind/);
		planOf(refusals, () => {});
	});
});
