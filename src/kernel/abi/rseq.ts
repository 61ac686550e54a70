// SPDX-License-Identifier: GPL-2.0-only
// Restartable sequences: rseq(2).
// Source: linux/rseq.h.

import { defineStruct, type StructValue } from "./struct.ts";

export const RSEQ_FLAG_UNREGISTER = 1;
export const RSEQ_CS_FLAG_NO_RESTART_ON_PREEMPT = 1;
export const RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL = 2;
export const RSEQ_CS_FLAG_NO_RESTART_ON_MIGRATE = 4;
export const RSEQ_CPU_ID_UNINITIALIZED = -1;
export const RSEQ_CPU_ID_REGISTRATION_FAILED = -2;

/** The registered area (as of 6.3; may be longer, see AT_RSEQ_FEATURE_SIZE). */
export const Rseq = defineStruct("rseq", 32, {
	cpu_id_start: ["u32", 0],
	cpu_id: ["u32", 4],
	rseq_cs: ["u64", 8],
	flags: ["u32", 16],
	node_id: ["u32", 20],
	mm_cid: ["u32", 24],
});
export type Rseq = StructValue<typeof Rseq>;

/** Descriptor of a critical section: [start_ip, start_ip + post_commit_offset). */
export const RseqCs = defineStruct("rseq_cs", 32, {
	version: ["u32", 0],
	flags: ["u32", 4],
	start_ip: ["u64", 8],
	post_commit_offset: ["u64", 16],
	abort_ip: ["u64", 24],
});
export type RseqCs = StructValue<typeof RseqCs>;
