// SPDX-License-Identifier: GPL-2.0-only
// All kinds of state that a task has: one line each. Order is the order of work within a stage.

import { fdFinish, fdTable } from "./file/fd-table.ts";
import { fs } from "./file/fs.ts";
import { fileLocks } from "./file/locks.ts";
import { nameless } from "./file/nameless.ts";
import { controllingTerminal } from "./file/tty-plan.ts";
import type { TaskKind } from "./kind.ts";
import { memoryMap } from "./mm/index.ts";
import { packetRings } from "./mm/packet-ring.ts";
import { affinity } from "./task/affinity.ts";
import { comm } from "./task/comm.ts";
import { cpuRights } from "./task/cpu-rights.x86_64.ts";
import { creds } from "./task/creds.ts";
import { outside } from "./task/outside.ts";
import { pendingSignals } from "./task/pending-signals.ts";
import { personality } from "./task/personality.ts";
import { prctlMisc } from "./task/prctl-misc.ts";
import { refusals } from "./task/refusals.ts";
import { registers } from "./task/registers.x86_64.ts";
import { rlimits } from "./task/rlimits.ts";
import { robustList } from "./task/robust-list.ts";
import { rseq } from "./task/rseq.ts";
import { schedule } from "./task/sched.ts";
import { seccomp } from "./task/seccomp.ts";
import { semUndo } from "./task/sem-undo.ts";
import { session } from "./task/session.ts";
import { sharing } from "./task/sharing.ts";
import { sigactions } from "./task/sigactions.ts";
import { sigaltstack } from "./task/sigaltstack.ts";
import { stopNews } from "./task/stop-news.ts";
import { threadSharing } from "./task/thread-sharing.ts";
import { tidAddress } from "./task/tid-address.ts";
import { timers } from "./task/timers.ts";
import { tracees } from "./task/tracees.ts";

export const TASK_KINDS: readonly TaskKind[] = [
	refusals,
	tracees,
	registers,
	session,
	sharing,
	threadSharing,
	stopNews,
	comm,
	personality,
	memoryMap,
	nameless,
	controllingTerminal,
	fdTable,
	fdFinish,
	packetRings,
	fileLocks,
	fs,
	sigactions,
	sigaltstack,
	robustList,
	tidAddress,
	rseq,
	schedule,
	affinity,
	rlimits,
	pendingSignals,
	timers,
	semUndo,
	seccomp,
	creds,
	prctlMisc,
	cpuRights,
	outside,
];
