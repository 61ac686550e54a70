// SPDX-License-Identifier: GPL-2.0-only
// Dispositions of all signals but SIGKILL and SIGSTOP, which have none.
// Source: rt_sigaction(2). Images: core-PID.img, sa_entry: exactly 62, ascending.

import type { Program } from "../../agent/program.ts";
import { isIa32 } from "../../agent/registers.x86_64.ts";
import { type sa_entry, sa_entrySchema } from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { CompatSigaction, KernelSigaction } from "../../kernel/abi/sigaction.x86_64.ts";
import { _NSIG, SIGKILL, SIGSTOP, signalBit, signalName } from "../../kernel/abi/signal.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_rt_sigaction } from "../../kernel/abi/syscalls.x86_64.ts";
import type { Completion, DumpedTask, RestoreContext, TaskDraft, TaskImage, TaskKind, TaskPlan } from "../kind.ts";
import { corruptCore, getTaskCore } from "./image-checks.ts";
import { getOwnStatus } from "./own-state.ts";
import { isCompatTask } from "./registers.ia32.ts";

const SIGSET_SIZE = 8;
const SYS32_rt_sigaction = 174;

/** The signals that sigactions are kept for, in the order of the image. */
export const ACTION_SIGNALS: readonly number[] = Array.from({ length: _NSIG }, (_, i) => i + 1).filter(
	(signo) => signo !== SIGKILL && signo !== SIGSTOP,
);

function dumpActions({ thread }: DumpedTask, draft: TaskDraft, ask: Program): Completion {
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
				compatSigaction: isIa32(thread.regs),
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
		if (isDefault(action) && (ignored & signalBit(signo)) === 0n) continue;
		const is32 = action.compatSigaction === true;
		if (is32 && !isCompatTask(image))
			throw corruptCore(image, `tc.sigactions has a 32-bit one, for ${signalName(signo)}`);
		const what = `set the action of ${signalName(signo)}`;
		const { state } = plan.programs;
		// The kernel notes by which sort of call an action is set: handlers get frames of that sort.
		if (is32) state.syscall32(what, SYS32_rt_sigaction, [signo, encodeAction32(action), 0, SIGSET_SIZE]);
		else state.syscall(what, SYS_rt_sigaction, [signo, encodeAction(action), 0, SIGSET_SIZE]);
	}
}

function encodeAction({ sigaction, flags, restorer, mask }: sa_entry): Uint8Array {
	return KernelSigaction.encode({ sa_handler: sigaction, sa_flags: flags, sa_restorer: restorer, sa_mask: mask });
}

function encodeAction32({ sigaction, flags, restorer, mask }: sa_entry): Uint8Array {
	const word = (value: bigint) => Number(BigInt.asUintN(32, value));
	return CompatSigaction.encode({
		sa_handler: word(sigaction),
		sa_flags: word(flags),
		sa_restorer: word(restorer),
		sa_mask: mask,
	});
}

/** Dispositions of signals. */
export const sigactions: TaskKind = { name: "sigactions", dump: dumpActions, plan: planActions };
