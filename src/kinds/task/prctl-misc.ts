// SPDX-License-Identifier: GPL-2.0-only
// What prctl(2) and membarrier(2) keep for a task: signal at the parent's death, subreaper, dumpable, transparent huge
// pages, merging of equal ones, membarrier registrations; for a thread: reading the time stamp counter, hardware memory errors. Images: core-PID.img, mm-PID.img (dumpable, thp_disabled).

import type { Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import { hasField } from "../../images/index.ts";
import * as pr from "../../kernel/abi/prctl.ts";
import { SIG_DFL, SIG_IGN, SIGCHLD, SIGCONT, SIGURG, SIGWINCH, signalName } from "../../kernel/abi/signal.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_membarrier, SYS_prctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { log } from "../../log.ts";
import type {
	Completion,
	DumpedTask,
	DumpedThread,
	RestoreContext,
	TaskDraft,
	TaskImage,
	TaskKind,
	TaskPlan,
	ThreadDraft,
	ThreadImage,
	ThreadPlan,
} from "../kind.ts";
import { checkRange, corruptCore, getTaskCore, getThreadCore } from "./image-checks.ts";
import { ACTION_SIGNALS } from "./sigactions.ts";

/** Source: linux/membarrier.h. Since: Linux 6.3. */
const MEMBARRIER_CMD_GET_REGISTRATIONS = 1 << 9;
/** The commands that register: global, private, with core serialisation, with rseq. */
const MEMBARRIER_REGISTRATIONS = (1 << 2) | (1 << 4) | (1 << 6) | (1 << 8);

function dumpPrctls(_task: DumpedTask, draft: TaskDraft, ask: Program): Completion {
	const subreaper = ask.out(4);
	ask.syscall("ask whether it is a subreaper", SYS_prctl, [pr.PR_GET_CHILD_SUBREAPER, subreaper]);
	const dumpable = ask.syscall("ask whether it is dumpable", SYS_prctl, [pr.PR_GET_DUMPABLE]);
	const thp = ask.syscall("ask for huge pages", SYS_prctl, [pr.PR_GET_THP_DISABLE, 0, 0, 0, 0], { check: "any" });
	const mdwe = ask.syscall("ask for write-xor-execute", SYS_prctl, [pr.PR_GET_MDWE, 0, 0, 0, 0], { check: "any" });
	const ksm = ask.syscall("ask for page merging", SYS_prctl, [pr.PR_GET_MEMORY_MERGE, 0, 0, 0, 0], { check: "any" });
	const barriers = ask.syscall("ask for barriers", SYS_membarrier, [MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0], {
		check: "any",
	});
	return (answers) => {
		const { tc } = draft.core;
		if (tc === undefined) return;
		tc.childSubreaper = viewOf(answers.out(subreaper)).getInt32(0, true) !== 0;
		draft.mm.dumpable = Number(answers.result(dumpable));
		const noHugePages = answers.succeeded(thp) ? answers.result(thp) : 0n;
		draft.mm.thpDisabled = noHugePages !== 0n;
		if (answers.succeeded(barriers) && answers.result(barriers) !== 0n)
			tc.membarrierRegistrationMask = Number(answers.result(barriers));
		// The answer is 1, and the flags.
		if (noHugePages > 1n) tc.thpDisableFlags = Number(noHugePages & ~1n);
		if (answers.succeeded(mdwe) && answers.result(mdwe) !== 0n) tc.mdwe = Number(answers.result(mdwe));
		if (answers.succeeded(ksm) && answers.result(ksm) !== 0n) tc.memoryMerge = true;
	};
}

function dumpDeathSignal({ task }: DumpedThread, draft: ThreadDraft, ask: Program): Completion {
	const out = ask.out(4);
	ask.syscall("ask for the parent-death signal", SYS_prctl, [pr.PR_GET_PDEATHSIG, out]);
	return (answers) => {
		const signo = viewOf(answers.out(out)).getInt32(0, true);
		// A leader that ends anew would have it sent to the children that it makes.
		if (signo !== 0 && task.parent?.leaderExit !== undefined)
			throw new UnsupportedError(
				"DEAD_LEADER",
				`the first thread of the parent of pid ${task.pid} has ended, which has to be told that`,
				{
					remedy: "dump before the program ends its main thread, or without PR_SET_PDEATHSIG in its children",
				},
			);
		if (signo !== 0 && draft.core.threadCore !== undefined) draft.core.threadCore.pdeathSig = signo;
	};
}

function dumpTraps(draft: ThreadDraft, ask: Program): Completion {
	const tsc = ask.out(4);
	const hasTsc = ask.syscall("ask for the time stamp counter", SYS_prctl, [pr.PR_GET_TSC, tsc], { check: "any" });
	const mce = ask.syscall("ask for memory errors", SYS_prctl, [pr.PR_MCE_KILL_GET, 0, 0, 0, 0], { check: "any" });
	return (answers) => {
		const { threadCore } = draft.core;
		if (threadCore === undefined) return;
		const mode = answers.succeeded(hasTsc) ? viewOf(answers.out(tsc)).getInt32(0, true) : pr.PR_TSC_ENABLE;
		if (mode !== pr.PR_TSC_ENABLE) threadCore.tscMode = mode;
		const policy = answers.succeeded(mce) ? Number(answers.result(mce)) : pr.PR_MCE_KILL_DEFAULT;
		if (policy !== pr.PR_MCE_KILL_DEFAULT) threadCore.mceKillPolicy = policy;
	};
}

function planTraps(image: ThreadImage, { programs: { state } }: ThreadPlan): void {
	const core = getThreadCore(image);
	if (hasField(core, "tscMode")) {
		checkRange(image, "thread_core.tsc_mode", core.tscMode, pr.PR_TSC_ENABLE, pr.PR_TSC_SIGSEGV);
		state.syscall("set reading of the time stamp counter", SYS_prctl, [pr.PR_SET_TSC, core.tscMode]);
	}
	if (hasField(core, "mceKillPolicy")) {
		checkRange(image, "thread_core.mce_kill_policy", core.mceKillPolicy, pr.PR_MCE_KILL_LATE, pr.PR_MCE_KILL_EARLY);
		const words = [pr.PR_MCE_KILL, pr.PR_MCE_KILL_SET, core.mceKillPolicy, 0, 0];
		state.syscall("choose how memory errors are told", SYS_prctl, words);
	}
}

/** True for a process that will lose its parent, us, as soon as it runs; the program of --exec-cmd stays. */
function isLeftAlone({ tid }: TaskImage, { options, makers }: RestoreContext): boolean {
	const { restoreDetached, restoreSibling, newPidns, execCmd } = options;
	return restoreDetached && !restoreSibling && !newPidns && execCmd === undefined && !makers.has(tid);
}

/** Signals that do nothing unless they are handled. Source: signal(7). */
const HARMLESS: readonly number[] = [SIGCHLD, SIGCONT, SIGURG, SIGWINCH];

function ignores(image: TaskImage, signo: number): boolean {
	const action = getTaskCore(image).sigactions[ACTION_SIGNALS.indexOf(signo)]?.sigaction;
	return action === SIG_IGN || (action === SIG_DFL && HARMLESS.includes(signo));
}

/** Lost when the credentials change, so it comes after them. */
function planDeathSignal(image: ThreadImage, plan: ThreadPlan, context: RestoreContext): void {
	const { pdeathSig } = getThreadCore(image);
	checkRange(image, "thread_core.pdeath_sig", pdeathSig, 0, 64);
	if (pdeathSig !== 0 && isLeftAlone(image.task, context) && !ignores(image.task, pdeathSig)) {
		log.warn(
			`pid ${image.task.tid} asked for ${signalName(pdeathSig)} at its parent's death (PR_SET_PDEATHSIG), which would come ` +
				"when criu ends: it isn't asked for; restore with --restore-sibling from the program that is to be the parent",
		);
		return;
	}
	plan.programs.creds.syscall("set the parent-death signal", SYS_prctl, [pr.PR_SET_PDEATHSIG, pdeathSig]);
}

function planBarriers(image: TaskImage, plan: TaskPlan): void {
	const tc = getTaskCore(image);
	if (!hasField(tc, "membarrierRegistrationMask")) return;
	const mask = tc.membarrierRegistrationMask;
	if ((mask & ~MEMBARRIER_REGISTRATIONS) !== 0)
		throw corruptCore(image, `tc.membarrier_registration_mask is 0x${mask.toString(16)}`);
	for (let bit = 0; bit < 32; bit++) {
		if (((mask >>> bit) & 1) === 0) continue;
		plan.programs.state.syscall("register for barriers", SYS_membarrier, [1 << bit, 0, 0], {
			remedies: { EINVAL: "this kernel lacks that kind of membarrier(2); restore on a newer one" },
		});
	}
}

/** A child has it from its maker, whose is set by then. */
function planHugePages(image: TaskImage, plan: TaskPlan, maker: TaskImage | undefined): void {
	const settingOf = ({ mm, core: { tc } }: TaskImage) => (mm.thpDisabled ? [1, tc?.thpDisableFlags ?? 0] : [0, 0]);
	const [disabled = 0, flags = 0] = settingOf(image);
	const [before, flagsBefore] = maker === undefined ? [0, 0] : settingOf(maker);
	if (disabled === before && flags === flagsBefore) return;
	plan.programs.tree.syscall(
		disabled === 0 ? "allow huge pages" : "disable huge pages",
		SYS_prctl,
		[pr.PR_SET_THP_DISABLE, disabled, flags, 0, 0],
		{
			remedies: { EINVAL: "this kernel can't disable huge pages but for advised ones; restore on Linux 6.18 or later" },
		},
	);
}

function planPrctls(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const tc = getTaskCore(image);
	const { state, creds, arm } = plan.programs;
	planHugePages(image, plan, context.makers.get(image.tid));
	if (tc.childSubreaper) state.syscall("become a subreaper", SYS_prctl, [pr.PR_SET_CHILD_SUBREAPER, 1]);
	// Children of the tree are there already: none has it from its maker.
	if (tc.memoryMerge)
		state.syscall("let equal pages be merged", SYS_prctl, [pr.PR_SET_MEMORY_MERGE, 1, 0, 0, 0], {
			remedies: { EINVAL: "this kernel lacks PR_SET_MEMORY_MERGE; restore on Linux 6.4 or later, with CONFIG_KSM" },
		});
	planBarriers(image, plan);
	const dumpable = hasField(image.mm, "dumpable") ? image.mm.dumpable : 1;
	if (dumpable < 0 || dumpable > 2) throw corruptCore(image, `dumpable in its mm image is ${dumpable}`);
	// Lost when the credentials change, so it comes after them. 2 can't be asked for: 0 is as strict for others.
	creds.syscall("set dumpable", SYS_prctl, [pr.PR_SET_DUMPABLE, dumpable === 1 ? 1 : 0]);
	// Irrevocable, and only for mappings made from here on.
	if (tc.mdwe !== 0)
		arm.syscall("refuse executable memory", SYS_prctl, [pr.PR_SET_MDWE, tc.mdwe, 0, 0, 0], {
			remedies: { EINVAL: "this kernel lacks PR_SET_MDWE; restore on Linux 6.3 or later" },
		});
}

/** Attributes of prctl(2) and membarrier(2). */
export const prctlMisc: TaskKind = {
	name: "prctl-misc",
	dump: dumpPrctls,
	dumpThread: (thread, draft, ask) => {
		const completions = [dumpDeathSignal(thread, draft, ask), dumpTraps(draft, ask)];
		return (answers) => {
			for (const complete of completions) complete(answers);
		};
	},
	plan: planPrctls,
	planThread: (image, plan, context) => {
		planDeathSignal(image, plan, context);
		planTraps(image, plan);
	},
};
