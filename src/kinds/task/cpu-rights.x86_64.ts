// SPDX-License-Identifier: GPL-2.0-only
// What a thread may do with the processor: CPUID may be forbidden, which is kept; I/O ports may be open to it, which is refused.
// Images: core-PID.img, thread_core_entry (ours). Source: arch_prctl(2) ARCH_GET_CPUID, ioperm(2), iopl(2), arch/x86/kernel/ioport.c.

import type { Program } from "../../agent/program.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import { ARCH_GET_CPUID, ARCH_SET_CPUID } from "../../kernel/abi/arch-prctl.x86_64.ts";
import { CAP_SYS_RAWIO } from "../../kernel/abi/capability.ts";
import { SYS_arch_prctl, SYS_iopl } from "../../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "../../sys/host.ts";
import * as pt from "../../sys/ptrace.ts";
import type {
	Completion,
	DumpContext,
	DumpedTask,
	DumpedThread,
	TaskKind,
	ThreadDraft,
	ThreadImage,
	ThreadPlan,
} from "../kind.ts";
import { getThreadCore } from "./image-checks.ts";

/** All ports. */
const LEVEL = 3;

type Once = Pick<DumpContext, "once">;

/** Allowing ourselves what is allowed fails where the processor can't forbid it. */
const mayForbidCpuid = (context: Once) =>
	context.once("cpuid-faulting", () => syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1) === 0);

/** Our own level is 0: to set it changes nothing, and fails on a kernel without I/O ports for programs. */
const hasPorts = (context: Once) => context.once("io-ports", () => syscall(SYS_iopl, 0) === 0);

function refusePorts({ task, tid, isLeader }: DumpedThread, call: string): CriuError {
	const whose = isLeader ? `pid ${task.pid}` : `thread ${tid} of pid ${task.pid}`;
	return new UnsupportedError(
		"IO_PORTS",
		`${whose} has access to I/O ports (${call}), which images have no place for`,
		{
			remedy: `let the program give it up first (${call} again)`,
		},
	);
}

/** Ports that were opened one by one the kernel shows. */
function findPortBlockers({ threads }: DumpedTask, context: DumpContext): CriuError[] {
	if (!hasPorts(context)) return [];
	return threads
		.filter(({ tid }) => pt.hasRegset(tid, pt.NT_386_IOPERM))
		.map((thread) => refusePorts(thread, "ioperm"));
}

/**
 * A level isn't shown. Who lacks the right to raise it may ask for the highest one all the same if that is what it has; the others,
 * who could raise it thereby, aren't asked.
 */
function askForLevel(thread: DumpedThread, ask: Program): Completion {
	const level = ask.syscall("ask for access to all I/O ports", SYS_iopl, [LEVEL], { check: "any" });
	return (answers) => {
		if (answers.succeeded(level)) throw refusePorts(thread, "iopl");
	};
}

function askForCpuid({ core }: ThreadDraft, ask: Program): Completion {
	const allowed = ask.syscall("ask whether it may use CPUID", SYS_arch_prctl, [ARCH_GET_CPUID, 0], { check: "any" });
	return (answers) => {
		if (core.threadCore !== undefined && answers.result(allowed) === 0n) core.threadCore.cpuidFaulting = true;
	};
}

function dumpRights(thread: DumpedThread, draft: ThreadDraft, ask: Program, context: DumpContext): Completion {
	const completions: Completion[] = [];
	if (mayForbidCpuid(context)) completions.push(askForCpuid(draft, ask));
	const mayRaise = ((thread.status.capEff >> BigInt(CAP_SYS_RAWIO)) & 1n) !== 0n;
	if (!mayRaise && hasPorts(context)) completions.push(askForLevel(thread, ask));
	return (answers) => {
		for (const complete of completions) complete(answers);
	};
}

function planRights(image: ThreadImage, { programs: { state } }: ThreadPlan): void {
	if (!getThreadCore(image).cpuidFaulting) return;
	state.syscall("forbid CPUID", SYS_arch_prctl, [ARCH_SET_CPUID, 0], {
		remedies: { ENODEV: "this processor can't forbid CPUID: restore on one that can (cpuid_fault in /proc/cpuinfo)" },
	});
}

/** Rights of threads on the processor. */
export const cpuRights: TaskKind = {
	name: "cpu-rights",
	findBlockers: findPortBlockers,
	dumpThread: dumpRights,
	planThread: planRights,
};
