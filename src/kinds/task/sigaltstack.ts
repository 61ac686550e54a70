// SPDX-License-Identifier: GPL-2.0-only
// The alternate signal stack of a thread. Whether the thread is on it follows from its stack pointer.
// Source: sigaltstack(2). Images: core-PID.img, thread_sas_entry.

import type { Program } from "../../agent/program.ts";
import { thread_sas_entrySchema } from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { StackT } from "../../kernel/abi/sigaction.x86_64.ts";
import { MINSIGSTKSZ, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from "../../kernel/abi/signal.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_sigaltstack } from "../../kernel/abi/syscalls.x86_64.ts";
import type { Completion, DumpedThread, TaskKind, ThreadDraft, ThreadImage, ThreadPlan } from "../kind.ts";
import { corruptCore, getThreadCore } from "./image-checks.ts";

const KNOWN_FLAGS = (SS_ONSTACK | SS_DISABLE | SS_AUTODISARM) >>> 0;

function dumpAltStack(_thread: DumpedThread, draft: ThreadDraft, ask: Program): Completion {
	const out = ask.out(StackT.size);
	ask.syscall("ask for the alternate signal stack", SYS_sigaltstack, [0, out]);
	return (answers) => {
		const { threadCore } = draft.core;
		if (threadCore === undefined) return;
		const stack = StackT.read(viewOf(answers.out(out)));
		threadCore.sas = create(thread_sas_entrySchema, {
			ssSp: stack.ss_sp,
			ssSize: stack.ss_size,
			ssFlags: (stack.ss_flags & ~SS_ONSTACK) >>> 0,
		});
	};
}

function planAltStack(image: ThreadImage, plan: ThreadPlan): void {
	const { sas } = getThreadCore(image);
	if (sas === undefined) return;
	if ((sas.ssFlags & ~KNOWN_FLAGS) !== 0) throw corruptCore(image, `thread_core.sas.ss_flags is ${sas.ssFlags}`);
	if ((sas.ssFlags & SS_DISABLE) !== 0) return;
	if (sas.ssSize < BigInt(MINSIGSTKSZ)) throw corruptCore(image, `thread_core.sas.ss_size is ${sas.ssSize}`);
	const stack = StackT.encode({
		ss_sp: sas.ssSp,
		ss_flags: (sas.ssFlags & SS_AUTODISARM) | 0,
		ss_size: sas.ssSize,
	});
	plan.programs.state.syscall("set the alternate signal stack", SYS_sigaltstack, [stack, 0], {
		remedies: { ENOMEM: "the stack is too small for this CPU's registers; restore on a CPU as the one of the dump" },
	});
}

/** The alternate signal stack of a thread. */
export const sigaltstack: TaskKind = {
	name: "sigaltstack",
	dumpThread: dumpAltStack,
	planThread: planAltStack,
};
