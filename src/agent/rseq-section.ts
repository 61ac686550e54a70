// SPDX-License-Identifier: GPL-2.0-only
// The restartable sequence that a thread was stopped in. On its way back to user space the kernel aborts it, or clears the
// pointer to it where the thread is somewhere else by then; a stopped thread is made to do neither later than now.
// Source: rseq(2), Documentation/userspace-api/rseq, kernel/rseq.c:rseq_ip_fixup.

import { KernelError } from "../errors.ts";
import { RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL, Rseq, RseqCs } from "../kernel/abi/rseq.ts";
import { viewOf } from "../kernel/abi/struct.ts";
import { readMemory, writeMemory } from "../sys/process.ts";
import { getRseq } from "../sys/ptrace.ts";

const OFFSET_MASK = (1n << 64n) - 1n;

/** A critical section that a thread is in. */
export interface CriticalSection {
	/** Address of the registered struct rseq. */
	area: bigint;
	/** Address of its struct rseq_cs. */
	pointer: bigint;
	abortIp: bigint;
	/** Signals don't abort it: the thread goes on where it was. Kernels since 6.0 kill whoever asks for that. */
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
		return { area, pointer: rseq.rseq_cs, abortIp: section.abort_ip, noRestart };
	} catch (error) {
		// A registration of memory that is gone: the kernel would end the task for it, we needn't.
		if (error instanceof KernelError) return undefined;
		throw error;
	}
}

/** The critical section that a thread is in that stands still at `ip`. */
export function findThreadSection(tid: number, ip: bigint): CriticalSection | undefined {
	const rseq = getRseq(tid);
	if (rseq === undefined || rseq.pointer === 0n) return undefined;
	return findCriticalSection(rseq.pointer, ip, (address, length) => readMemory(tid, address, length));
}

/** Points to the section again once a thread that has run other code is back in it. */
export function putSectionBack(tid: number, section: Pick<CriticalSection, "area" | "pointer"> | undefined): void {
	if (section === undefined) return;
	const word = BigUint64Array.of(section.pointer);
	writeMemory(tid, section.area + BigInt(Rseq.offsets.rseq_cs), new Uint8Array(word.buffer));
}
