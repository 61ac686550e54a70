// SPDX-License-Identifier: GPL-2.0-only
// The word that the kernel clears and wakes when a thread ends, which pthread_join waits on.
// Source: set_tid_address(2), PR_GET_TID_ADDRESS(2const). Images: core-PID.img, thread_info_x86.

import type { Program } from "../../agent/program.ts";
import { PR_GET_TID_ADDRESS } from "../../kernel/abi/prctl.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_prctl, SYS_set_tid_address } from "../../kernel/abi/syscalls.x86_64.ts";
import type { Completion, DumpedThread, TaskKind, ThreadDraft, ThreadImage, ThreadPlan } from "../kind.ts";

function dumpTidAddress(_thread: DumpedThread, draft: ThreadDraft, ask: Program): Completion {
	const out = ask.out(8);
	// Without CONFIG_CHECKPOINT_RESTORE the call fails, and the answer stays zero: none.
	ask.syscall("ask for the address cleared at exit", SYS_prctl, [PR_GET_TID_ADDRESS, out], {
		check: { okOr: "EINVAL" },
	});
	return (answers) => {
		const { threadInfo } = draft.core;
		if (threadInfo !== undefined) threadInfo.clearTidAddr = viewOf(answers.out(out)).getBigUint64(0, true);
	};
}

function planTidAddress(image: ThreadImage, plan: ThreadPlan): void {
	const address = image.core.threadInfo?.clearTidAddr ?? 0n;
	if (address !== 0n) plan.programs.state.syscall("set the address cleared at exit", SYS_set_tid_address, [address]);
}

/** The address cleared when the thread ends. */
export const tidAddress: TaskKind = {
	name: "tid-address",
	dumpThread: dumpTidAddress,
	planThread: planTidAddress,
};
