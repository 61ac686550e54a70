// SPDX-License-Identifier: GPL-2.0-only
// The list of robust futexes that the kernel walks when a thread ends.
// Source: get_robust_list(2). Images: core-PID.img, thread_core_entry.

import type { Program } from "../../agent/program.ts";
import { isIa32 } from "../../agent/registers.x86_64.ts";
import type { thread_core_entry } from "../../images/gen/core_pb.ts";
import { ROBUST_LIST_HEAD_32, RobustListHead } from "../../kernel/abi/futex.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_get_robust_list, SYS_set_robust_list } from "../../kernel/abi/syscalls.x86_64.ts";
import { addressOf, mustSyscall } from "../../sys/host.ts";
import type { Completion, DumpedThread, TaskKind, ThreadDraft, ThreadImage, ThreadPlan } from "../kind.ts";
import { corruptCore, getThreadCore } from "./image-checks.ts";
import { isCompatTask } from "./registers.ia32.ts";

const SYS32_set_robust_list = 311;
const SYS32_get_robust_list = 312;

const answer = new BigUint64Array(2);

function dumpRobustList({ tid, stopped }: DumpedThread, draft: ThreadDraft, ask: Program): Completion | undefined {
	const { threadCore } = draft.core;
	if (threadCore === undefined) return undefined;
	if (isIa32(stopped.regs)) return askForList32(threadCore, ask);
	const at = addressOf(answer);
	mustSyscall(`of task ${tid}`, SYS_get_robust_list, tid, at, at + 8n);
	threadCore.futexRla = answer[0] ?? 0n;
	threadCore.futexRlaLen = Number(answer[1] ?? 0n);
	return undefined;
}

/** 32-bit code has a list of its own, of which the kernel tells 32-bit code only. */
function askForList32(threadCore: thread_core_entry, ask: Program): Completion {
	const out = ask.out(8);
	ask.syscall32("ask for the robust futex list", SYS32_get_robust_list, [0, out, { out: out.out + 4, length: 4 }]);
	return (answers) => {
		const view = viewOf(answers.out(out));
		threadCore.futexRla = BigInt(view.getUint32(0, true));
		threadCore.futexRlaLen = view.getUint32(4, true);
	};
}

function planRobustList(image: ThreadImage, plan: ThreadPlan): void {
	const { futexRla, futexRlaLen } = getThreadCore(image);
	if (futexRla === 0n || futexRlaLen === 0) return;
	const { state } = plan.programs;
	if (isCompatTask(image.task) && futexRlaLen === ROBUST_LIST_HEAD_32) {
		state.syscall32("set the robust futex list", SYS32_set_robust_list, [futexRla, futexRlaLen]);
		return;
	}
	if (futexRlaLen !== RobustListHead.size)
		throw corruptCore(image, `thread_core.futex_rla_len is ${futexRlaLen}, a head has ${RobustListHead.size} bytes`);
	state.syscall("set the robust futex list", SYS_set_robust_list, [futexRla, futexRlaLen]);
}

/** The robust futex list of a thread. */
export const robustList: TaskKind = {
	name: "robust-list",
	dumpThread: dumpRobustList,
	planThread: planRobustList,
};
