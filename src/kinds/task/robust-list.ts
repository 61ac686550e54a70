// SPDX-License-Identifier: GPL-2.0-only
// The list of robust futexes that the kernel walks when a thread ends.
// Source: get_robust_list(2). Images: core-PID.img, thread_core_entry.

import { RobustListHead } from "../../kernel/abi/futex.ts";
import { SYS_get_robust_list, SYS_set_robust_list } from "../../kernel/abi/syscalls.x86_64.ts";
import { addressOf, mustSyscall } from "../../sys/host.ts";
import type { DumpedThread, TaskKind, ThreadDraft, ThreadImage, ThreadPlan } from "../kind.ts";
import { corruptCore, getThreadCore } from "./image-checks.ts";

const answer = new BigUint64Array(2);

function dumpRobustList({ tid }: DumpedThread, draft: ThreadDraft): undefined {
	const { threadCore } = draft.core;
	if (threadCore === undefined) return undefined;
	const at = addressOf(answer);
	mustSyscall(`of task ${tid}`, SYS_get_robust_list, tid, at, at + 8n);
	threadCore.futexRla = answer[0] ?? 0n;
	threadCore.futexRlaLen = Number(answer[1] ?? 0n);
	return undefined;
}

function planRobustList(image: ThreadImage, plan: ThreadPlan): void {
	const { futexRla, futexRlaLen } = getThreadCore(image);
	if (futexRla === 0n || futexRlaLen === 0) return;
	if (futexRlaLen !== RobustListHead.size)
		throw corruptCore(image, `thread_core.futex_rla_len is ${futexRlaLen}, a head has ${RobustListHead.size} bytes`);
	plan.programs.state.syscall("set the robust futex list", SYS_set_robust_list, [futexRla, futexRlaLen]);
}

/** The robust futex list of a thread. */
export const robustList: TaskKind = {
	name: "robust-list",
	dumpThread: dumpRobustList,
	planThread: planRobustList,
};
