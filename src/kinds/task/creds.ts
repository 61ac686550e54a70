// SPDX-License-Identifier: GPL-2.0-only
// Credentials of a thread: ids, groups, capabilities, securebits, no_new_privs, security label.
// Source: credentials(7), capabilities(7). Images: core-PID.img, creds_entry.

import type { Program } from "../../agent/program.ts";
import { type creds_entry, creds_entrySchema } from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { PR_GET_SECUREBITS } from "../../kernel/abi/prctl.ts";
import { SYS_prctl } from "../../kernel/abi/syscalls.x86_64.ts";
import type { ProcStatus } from "../../kernel/procfs/status.ts";
import type { Completion, DumpedThread, TaskKind, ThreadDraft } from "../kind.ts";
import { planCreds } from "./creds-plan.ts";
import { readLabel } from "./security-label.ts";

const WORD = 0xffffffffn;

/** A capability set as images hold it: two words, the low one first. */
export function encodeCaps(set: bigint): number[] {
	return [Number(set & WORD), Number((set >> 32n) & WORD)];
}

function encodeCreds(status: ProcStatus, securebits: number, label: string | undefined): creds_entry {
	const entry = create(creds_entrySchema, {
		uid: status.uid[0],
		euid: status.uid[1],
		suid: status.uid[2],
		fsuid: status.uid[3],
		gid: status.gid[0],
		egid: status.gid[1],
		sgid: status.gid[2],
		fsgid: status.gid[3],
		capInh: encodeCaps(status.capInh),
		capPrm: encodeCaps(status.capPrm),
		capEff: encodeCaps(status.capEff),
		capBnd: encodeCaps(status.capBnd),
		capAmb: encodeCaps(status.capAmb),
		secbits: securebits,
		groups: [...status.groups],
	});
	if (label !== undefined) entry.lsmProfile = label;
	if (status.noNewPrivs === true) entry.noNewPrivs = 1;
	return entry;
}

function dumpCreds(thread: DumpedThread, draft: ThreadDraft, ask: Program): Completion {
	const securebits = ask.syscall("ask for the securebits", SYS_prctl, [PR_GET_SECUREBITS]);
	return (answers) => {
		const { threadCore } = draft.core;
		if (threadCore === undefined) return;
		threadCore.creds = encodeCreds(thread.status, Number(answers.result(securebits)), readLabel(thread.tid));
	};
}

/** Credentials of a thread. */
export const creds: TaskKind = { name: "creds", dumpThread: dumpCreds, ofDeadLeader: true, planThread: planCreds };
