// SPDX-License-Identifier: GPL-2.0-only
// Registers, vector state and signal mask of a thread. Calls that the freeze interrupted are written so that they go on
// where that is exact, otherwise they end with EINTR. Images: core-PID.img, thread_info_x86; tc.blk_sigset.

import { type ImageResumption, nameRestartedCall, resumeFromImage } from "../../agent/interrupted.x86_64.ts";
import type { Program } from "../../agent/program.ts";
import { getReg, isIa32, REG, REGS_SIZE, type Registers, withRegs } from "../../agent/registers.x86_64.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import {
	type thread_info_x86,
	thread_info_x86Schema,
	user_x86_regs_entrySchema,
	user_x86_regs_mode,
} from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { KernelSigaction } from "../../kernel/abi/sigaction.x86_64.ts";
import { SA_RESTART, SIGKILL, SIGSTOP, signalBit } from "../../kernel/abi/signal.ts";
import { viewOf } from "../../kernel/abi/struct.ts";
import { SYS_rt_sigaction, syscallName } from "../../kernel/abi/syscalls.x86_64.ts";
import { USER_CS, USER_DS } from "../../kernel/abi/user-regs.x86_64.ts";
import { log } from "../../log.ts";
import { readMemory } from "../../sys/process.ts";
import type {
	Completion,
	DumpContext,
	DumpedTask,
	DumpedThread,
	RestoreContext,
	TaskKind,
	ThreadDraft,
	ThreadImage,
	ThreadPlan,
} from "../kind.ts";
import { corruptCore, getTaskCore, getThreadCore } from "./image-checks.ts";
import { checkIa32, decodeRegs32, encodeRegs32, isCompat, isCompatTask } from "./registers.ia32.ts";
import { askForLdt, dumpTls, planTls } from "./tls-segments.ts";
import { decodeXstate, describeXstateHost, encodeXstate, findUnkeptComponents } from "./xstate.x86_64.ts";

/** CF PF AF ZF SF TF DF OF NT RF AC ID: what user space may change. */
const USER_FLAGS = 0x254dd5n;
/** IF and the bit that is always one. */
const FIXED_FLAGS = 0x202n;
const BASE_MAX = 1n << 56n;
const NO_SYSCALL = (1n << 64n) - 1n;
/** General registers, named alike in the message and in REG. */
const PLAIN = [
	"r15",
	"r14",
	"r13",
	"r12",
	"bp",
	"bx",
	"r11",
	"r10",
	"r9",
	"r8",
	"ax",
	"cx",
	"dx",
	"si",
	"di",
	"ip",
	"sp",
] as const;

function findRegisterBlockers(task: DumpedTask): CriuError[] {
	return task.threads.flatMap(findThreadBlockers);
}

function findThreadBlockers({ tid, stopped }: DumpedThread): CriuError[] {
	const found: CriuError[] = [];
	const { xstate } = stopped;
	const unkept = findUnkeptComponents(xstate);
	if (unkept !== 0n)
		found.push(
			new UnsupportedError(
				"UNSUPPORTED_XSTATE",
				`task ${tid} uses CPU state that images can't hold (bits 0x${unkept.toString(16)})`,
				{
					remedy: "dump when the program has released its tile registers (AMX), or keep it from using them",
				},
			),
		);
	return found;
}

/** The first signal that waits and will run a handler as soon as the thread runs; 0 when there's none. */
function findWaitingHandler({ status, stopped }: DumpedThread): number {
	const { sigPnd, shdPnd, sigCgt } = status;
	const waiting = (sigPnd | shdPnd) & sigCgt & ~stopped.sigmask;
	if (waiting === 0n) return 0;
	for (let signo = 1; signo <= 64; signo++) if ((waiting & signalBit(signo)) !== 0n) return signo;
	return 0;
}

function encodeRegs(regs: Registers): thread_info_x86["gpregs"] {
	if (isIa32(regs)) return encodeRegs32(regs);
	const values = Object.fromEntries(PLAIN.map((name) => [name, getReg(regs, REG[name])]));
	return create(user_x86_regs_entrySchema, {
		...values,
		origAx: getReg(regs, REG.orig_ax),
		cs: getReg(regs, REG.cs),
		flags: getReg(regs, REG.flags),
		ss: getReg(regs, REG.ss),
		fsBase: getReg(regs, REG.fs_base),
		gsBase: getReg(regs, REG.gs_base),
		ds: getReg(regs, REG.ds),
		es: getReg(regs, REG.es),
		fs: getReg(regs, REG.fs),
		gs: getReg(regs, REG.gs),
		mode: user_x86_regs_mode.NATIVE,
	});
}

function tellInterruption({ tid, stopped }: DumpedThread, resumption: ImageResumption): void {
	if (!resumption.interrupted) return;
	const { regs } = stopped;
	const nr = Number(getReg(regs, REG.orig_ax));
	const call = isIa32(regs) ? `32-bit system call ${nr}` : syscallName(nr);
	log.info(`task ${tid}: ${call} will end with EINTR when restored`);
}

function dumpRegisters(
	dumped: DumpedThread,
	draft: ThreadDraft,
	ask: Program,
	context: DumpContext,
): Completion | undefined {
	const { tc, threadCore } = draft.core;
	const { stopped: thread } = dumped;
	if (tc !== undefined) tc.blkSigset = thread.sigmask;
	else if (threadCore !== undefined) threadCore.blkSigset = thread.sigmask;
	const host = context.once("xstate-host", describeXstateHost);
	const resume = (handler: "none" | "restart" | "interrupt") => {
		const named = nameRestartedCall(thread.regs, (address, length) => readMemory(thread.tid, address, length));
		const resumption = resumeFromImage(named, handler);
		tellInterruption(dumped, resumption);
		return resumption.regs;
	};
	const waiting = findWaitingHandler(dumped);
	draft.core.threadInfo = create(thread_info_x86Schema, {
		clearTidAddr: 0n,
		gpregs: encodeRegs(waiting === 0 ? resume("none") : thread.regs),
		fpregs: encodeXstate(thread.xstate, host),
		tls: dumpTls(thread.tid),
	});
	if (waiting === 0) return undefined;
	// A handler runs first: whether the call then goes on depends on how it was installed.
	const out = ask.out(KernelSigaction.size);
	ask.syscall("ask how the waiting signal is handled", SYS_rt_sigaction, [waiting, 0, out, 8]);
	return (answers) => {
		const { sa_flags } = KernelSigaction.read(viewOf(answers.out(out)));
		const { threadInfo } = draft.core;
		const handler = (sa_flags & BigInt(SA_RESTART)) === 0n ? "interrupt" : "restart";
		if (threadInfo !== undefined) threadInfo.gpregs = encodeRegs(resume(handler));
	};
}

/** The registers that ptrace sets last. Selectors and privileged flags are this kernel's, whatever the image says. */
function decodeRegs(image: ThreadImage, info: thread_info_x86): Registers {
	const { gpregs } = info;
	if (gpregs === undefined) throw corruptCore(image, "thread_info.gpregs is missing");
	const flags = (gpregs.flags & USER_FLAGS) | FIXED_FLAGS;
	if (isCompat(image, gpregs)) return withRegs(decodeRegs32(image, info, gpregs), { flags });
	for (const base of ["fsBase", "gsBase"] as const)
		if (gpregs[base] >= BASE_MAX)
			throw corruptCore(image, `thread_info.gpregs.${base === "fsBase" ? "fs" : "gs"}_base is out of range`);
	const regs: Registers = new BigUint64Array(REGS_SIZE / 8);
	for (const name of PLAIN) regs[REG[name]] = gpregs[name];
	regs[REG.flags] = flags;
	regs[REG.orig_ax] = NO_SYSCALL;
	regs[REG.cs] = BigInt(USER_CS);
	regs[REG.ss] = BigInt(USER_DS);
	regs[REG.fs_base] = gpregs.fsBase;
	regs[REG.gs_base] = gpregs.gsBase;
	return regs;
}

function planRegisters(image: ThreadImage, plan: ThreadPlan, context: RestoreContext): void {
	const blocked = image.isLeader ? getTaskCore(image).blkSigset : getThreadCore(image).blkSigset;
	const info = image.core.threadInfo;
	if (info === undefined) throw corruptCore(image, "thread_info is missing");
	const { fpregs } = info;
	if (fpregs === undefined) throw corruptCore(image, "thread_info.fpregs is missing");
	const host = context.once("xstate-host", describeXstateHost);
	if (isCompatTask(image)) context.once("host:ia32", () => checkIa32(image.tid));
	plan.final.regs = decodeRegs(image, info);
	planTls(image, info.tls, plan);
	plan.final.xstate = decodeXstate(fpregs, host, (problem) => corruptCore(image, `thread_info.fpregs.${problem}`));
	plan.final.sigmask = blocked & ~(signalBit(SIGKILL) | signalBit(SIGSTOP));
}

/** Registers, vector state, signal mask. */
export const registers: TaskKind = {
	name: "registers",
	findBlockers: findRegisterBlockers,
	dump: (task, _draft, ask) => askForLdt(task, ask),
	dumpThread: dumpRegisters,
	planThread: planRegisters,
};
