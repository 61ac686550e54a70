// SPDX-License-Identifier: GPL-2.0-only
// Dispositions of all signals but SIGKILL and SIGSTOP, which have none.
// Source: rt_sigaction(2). Images: core-PID.img, sa_entry: exactly 62, ascending.

import type { Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import { type sa_entry, sa_entrySchema } from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { KernelSigaction } from "../../kernel/abi/sigaction.x86_64.ts";
import { _NSIG, SIGKILL, SIGSTOP, signalBit, signalName } from "../../kernel/abi/signal.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_rt_sigaction } from "../../kernel/abi/syscalls.x86_64.ts";
import type { Completion, DumpedTask, RestoreContext, TaskDraft, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { corruptCore, getTaskCore } from "./image-checks.ts";
import { getOwnStatus } from "./own-state.ts";

const SIGSET_SIZE = 8;

/** The signals that sigactions are kept for, in the order of the image. */
export const ACTION_SIGNALS: readonly number[] = Array.from({ length: _NSIG }, (_, i) => i + 1).filter(
	(signo) => signo !== SIGKILL && signo !== SIGSTOP,
);

function dumpActions(_task: DumpedTask, draft: TaskDraft, ask: Program): Completion {
	const outs = ACTION_SIGNALS.map((signo) => {
		const out = ask.out(KernelSigaction.size);
		ask.syscall(`ask for the action of ${signalName(signo)}`, SYS_rt_sigaction, [signo, 0, out, SIGSET_SIZE]);
		return out;
	});
	return (answers) => {
		const { tc } = draft.core;
		if (tc === undefined) return;
		tc.sigactions = outs.map((out) => {
			const action = KernelSigaction.read(viewOf(answers.out(out)));
			return create(sa_entrySchema, {
				sigaction: action.sa_handler,
				flags: action.sa_flags,
				restorer: action.sa_restorer,
				mask: action.sa_mask,
				compatSigaction: false,
			});
		});
	};
}

function isDefault(action: sa_entry): boolean {
	return action.sigaction === 0n && action.flags === 0n && action.mask === 0n && action.restorer === 0n;
}

function planActions(image: TaskImage, plan: TaskPlan, context: RestoreContext): void {
	const { sigactions } = getTaskCore(image);
	if (sigactions.length !== ACTION_SIGNALS.length)
		throw corruptCore(image, `tc.sigactions has ${sigactions.length} entries, there must be ${ACTION_SIGNALS.length}`);
	// Only what is ignored outlives the exec of the new process.
	const ignored = getOwnStatus(context).sigIgn;
	for (const [i, action] of sigactions.entries()) {
		const signo = ACTION_SIGNALS[i] ?? 0;
		if (action.compatSigaction === true)
			throw new UnsupportedError(
				"COMPAT_TASK",
				`the action of ${signalName(signo)} of pid ${image.pstree.pid} is a 32-bit one`,
				{
					remedy: "restore these images with the original criu",
				},
			);
		if (isDefault(action) && (ignored & signalBit(signo)) === 0n) continue;
		const bytes = KernelSigaction.encode({
			sa_handler: action.sigaction,
			sa_flags: action.flags,
			sa_restorer: action.restorer,
			sa_mask: action.mask,
		});
		plan.programs.state.syscall(`set the action of ${signalName(signo)}`, SYS_rt_sigaction, [
			signo,
			bytes,
			0,
			SIGSET_SIZE,
		]);
	}
}

/** Dispositions of signals. */
export const sigactions: TaskKind = { name: "sigactions", dump: dumpActions, plan: planActions };
