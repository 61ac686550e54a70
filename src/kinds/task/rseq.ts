// SPDX-License-Identifier: GPL-2.0-only
// Restartable sequences: the registered area, and the critical section that a thread may have been stopped in.
// Source: rseq(2), Documentation/userspace-api/rseq, kernel/rseq.c:rseq_ip_fixup. Images: core-PID.img, rseq_entry.

import { putSectionBack } from "../../agent/rseq-section.ts";
import { rseq_entrySchema } from "../../images/gen/core_pb.ts";
import { create, hasField } from "../../images/index.ts";
import { SYS_rseq } from "../../kernel/abi/syscalls.x86_64.ts";
import { log } from "../../log.ts";
import { getRseq } from "../../sys/ptrace.ts";
import type { DumpedThread, TaskKind, ThreadDraft, ThreadImage, ThreadPlan } from "../kind.ts";
import { checkRange, getThreadCore } from "./image-checks.ts";

const MIN_SIZE = 32;
const MAX_SIZE = 4096;
const POINTER_MAX = 1n << 56n;

function dumpRseq(thread: DumpedThread, draft: ThreadDraft): undefined {
	const rseq = getRseq(thread.tid);
	const { threadCore } = draft.core;
	if (rseq === undefined || threadCore === undefined) return undefined;
	if (rseq.flags !== 0) log.warn(`task ${thread.tid}: flags 0x${rseq.flags.toString(16)} of its rseq area aren't kept`);
	threadCore.rseqEntry = create(rseq_entrySchema, {
		rseqAbiPointer: rseq.pointer,
		rseqAbiSize: rseq.size,
		signature: rseq.signature,
	});
	const { section } = thread.stopped;
	if (section !== undefined) threadCore.rseqEntry.rseqCsPointer = section.pointer;
	return undefined;
}

function planRseq(image: ThreadImage, plan: ThreadPlan): void {
	const entry = getThreadCore(image).rseqEntry;
	if (entry === undefined || entry.rseqAbiPointer === 0n) return;
	const pointer = checkRange(image, "thread_core.rseq_entry.rseq_abi_pointer", entry.rseqAbiPointer, 0n, POINTER_MAX);
	// CRIU stored no size before kernels told it; the first layout was meant.
	const size = entry.rseqAbiSize === 0 ? MIN_SIZE : entry.rseqAbiSize;
	checkRange(image, "thread_core.rseq_entry.rseq_abi_size", size, MIN_SIZE, MAX_SIZE);
	plan.programs.signals.syscall("register the rseq area", SYS_rseq, [pointer, size, 0, entry.signature], {
		remedies: {
			EINVAL: "this kernel doesn't take an area of that size; restore on the kernel of the dump or a newer one",
			ENOSYS: "this kernel has no rseq(2); restore on one with CONFIG_RSEQ",
		},
	});
	if (!hasField(entry, "rseqCsPointer") || entry.rseqCsPointer === 0n) return;
	const section = { area: pointer, pointer: entry.rseqCsPointer };
	plan.beforeDetach.push({
		what: "put the rseq critical section back",
		// Before, the kernel would have cleared it: the agent's own code lies outside of the section.
		run: (pid) => putSectionBack(pid, section),
	});
}

/** The registration of restartable sequences. */
export const rseq: TaskKind = { name: "rseq", dumpThread: dumpRseq, planThread: planRseq };
