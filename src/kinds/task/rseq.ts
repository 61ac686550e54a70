// SPDX-License-Identifier: GPL-2.0-only
// Restartable sequences: the registered area, and the critical section that a thread may have been stopped in.
// Source: rseq(2), Documentation/userspace-api/rseq, kernel/rseq.c:rseq_ip_fixup. Images: core-PID.img, rseq_entry.

import { getReg, REG } from "../../agent/chain.x86_64.ts";
import { KernelError } from "../../errors.ts";
import { rseq_entrySchema } from "../../images/gen/core_pb.ts";
import { create, hasField } from "../../images/index.ts";
import { RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL, Rseq, RseqCs } from "../../kernel/abi/rseq.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_rseq } from "../../kernel/abi/syscalls.x86_64.ts";
import { log } from "../../log.ts";
import { readMemory, writeMemory } from "../../sys/process.ts";
import { getRseq } from "../../sys/ptrace.ts";
import type { DumpedThread, TaskKind, ThreadDraft, ThreadImage, ThreadPlan } from "../kind.ts";
import { checkRange, getThreadCore } from "./image-checks.ts";

const MIN_SIZE = 32;
const MAX_SIZE = 4096;
const POINTER_MAX = 1n << 56n;
const OFFSET_MASK = (1n << 64n) - 1n;

/** A critical section that a thread is in. */
export interface CriticalSection {
	/** Address of its struct rseq_cs. */
	pointer: bigint;
	abortIp: bigint;
	/** Signals don't abort it: the thread goes on where it was. */
	noRestart: boolean;
}

export type ReadMemory = (address: bigint, length: number) => Uint8Array;

/** The critical section around `ip` of the area at `area`; undefined when there's none or it can't be read. */
export function findCriticalSection(area: bigint, ip: bigint, read: ReadMemory): CriticalSection | undefined {
	try {
		const rseq = Rseq.read(viewOf(read(area, Rseq.size)));
		if (rseq.rseq_cs === 0n) return undefined;
		const section = RseqCs.read(viewOf(read(rseq.rseq_cs, RseqCs.size)));
		if (((ip - section.start_ip) & OFFSET_MASK) >= section.post_commit_offset) return undefined;
		const noRestart = ((section.flags | rseq.flags) & RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL) !== 0;
		return { pointer: rseq.rseq_cs, abortIp: section.abort_ip, noRestart };
	} catch (error) {
		// A registration of memory that is gone: the kernel would end the task for it, we needn't.
		if (error instanceof KernelError) return undefined;
		throw error;
	}
}

/** The critical section that a stopped thread is in. */
export function findThreadSection({ tid, stopped }: DumpedThread): CriticalSection | undefined {
	const rseq = getRseq(tid);
	if (rseq === undefined || rseq.pointer === 0n) return undefined;
	return findCriticalSection(rseq.pointer, getReg(stopped.regs, REG.ip), (address, length) =>
		readMemory(tid, address, length),
	);
}

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
	const section = findThreadSection(thread);
	if (section?.noRestart === true) threadCore.rseqEntry.rseqCsPointer = section.pointer;
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
	const section = new BigUint64Array([entry.rseqCsPointer]);
	plan.beforeDetach.push({
		what: "put the rseq critical section back",
		// Before, the kernel would have cleared it: the agent's own code lies outside of the section.
		run: (pid) => writeMemory(pid, pointer + BigInt(Rseq.offsets.rseq_cs), new Uint8Array(section.buffer)),
	});
}

/** The registration of restartable sequences. */
export const rseq: TaskKind = { name: "rseq", dumpThread: dumpRseq, planThread: planRseq };
