// SPDX-License-Identifier: GPL-2.0-only
// Bringing the agent into stopped targets. The order of steps is what keeps each of them unharmed when we die in between;
// reference/injection.md has the measurements. Several are led through the same steps at a time, so that the kernel works for
// all while we wait once.

import { BugError, CriuError, KernelError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import {
	SYS_futex,
	SYS_futex_waitv,
	SYS_mmap,
	SYS_mprotect,
	SYS_munmap,
	SYS_restart_syscall,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
} from "../kernel/abi/syscalls.x86_64.ts";
import { log } from "../log.ts";
import { agentBlob } from "../sys/embedded.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { type AreaMapping, mapSharedBehindPage } from "../sys/memory.ts";
import { readMemory, writeMemory } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import { buildChain, type Chain, chainSize } from "./chain.ts";
import { placeChain } from "./chain-place.ts";
import { AgentChannel } from "./channel.ts";
import {
	AREA_LENGTH,
	findHole,
	InjectedAgent,
	type InjectionFacts,
	PLACE_LIMIT_32,
	removeAreas,
	requestChain,
} from "./injected.ts";
import {
	AGENT_STACK,
	AREA_BLOB,
	AREA_CTL,
	AREA_PROGRAM,
	CrCtl,
	CTL_RESTART,
	CTL_SPIN,
	readBlobHeader,
} from "./layout.ts";
import type { Program } from "./program.ts";
import { getReg, REG } from "./registers.x86_64.ts";
import { dropLock, holdLock, lockWord } from "./robust-list.ts";
import { putSectionBack } from "./rseq-section.ts";
import { enterAgent, TargetCall } from "./target-call.ts";
import {
	getRegisters,
	interruptThread,
	isDead,
	resumeAllToSyscall,
	type StoppedThread,
	setRegisters,
	skipCall,
} from "./tracee.ts";

const PROGRAM_LENGTH = AREA_LENGTH - AREA_PROGRAM - AGENT_STACK;
/** About what the programs of a dump take. */
const PROGRAM_TOUCHED = 16 * 1024;
const PROT_RW = 3n;
const PROT_RX = 5n;
const PROT_RWX = 7n;
const MAP_BITS = 0x100021n; // MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
const O_RDWR = 2;
const EACCES = 13n;
const ALL_SIGNALS = (1n << 64n) - 1n;
const STEP_TIMEOUT_MS = 10_000;

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** A stopped thread that is to have the agent in it. */
export interface Target {
	readonly facts: InjectionFacts;
	readonly thread: StoppedThread;
	/** What the agent does first, without being woken for it: a program that has been started. */
	readonly first?: Program | undefined;
}

/** One target on its way to having the agent in it. Should we die meanwhile, it goes back by its chain. */
class Infection {
	private readonly area: bigint;
	private readonly chain: Chain;
	private readonly savedStack: Uint8Array;
	private readonly restartBlock: boolean;
	private call: TargetCall | undefined;
	private prot = PROT_RWX;
	private memory: AreaMapping | undefined;
	/** How far it has come. */
	private state: "stopped" | "armed" | "mapped" | "started" = "stopped";
	private agent: InjectedAgent | undefined;

	constructor(private readonly target: Target) {
		const { facts, thread } = target;
		this.area = findHole(facts.vmas, AREA_LENGTH, facts.gadgets.isIa32 ? PLACE_LIMIT_32 : undefined);
		const { request, restartBlock } = requestChain(facts, thread, this.area);
		this.restartBlock = restartBlock;
		warnOfWindow(facts, thread);
		const size = chainSize(request);
		this.chain = buildChain(request, placeChain(facts, thread.regs, size));
		faultPoint("infect:stopped");
		this.savedStack = readMemory(thread.tid, this.chain.address, size);
		writeMemory(thread.tid, this.chain.address, this.chain.bytes);
	}

	get tid(): number {
		return this.target.thread.tid;
	}

	/** Sets registers and mask for the bootstrap call: mmap of shared anonymous memory. */
	arm(): void {
		this.armCall(SYS_mmap, [this.area, BigInt(AREA_LENGTH), this.prot, MAP_BITS, ALL_SIGNALS, 0n]);
	}

	/** At the call's entry. */
	atEntry(): void {
		faultPoint("infect:entry");
		this.call?.atEntry();
	}

	/** At the call's end. */
	atExit(): void {
		if (this.hasMapped()) this.state = "mapped";
	}

	/** Makes what was mapped ours as well, or tries to get it another way. @throws KernelError */
	open(): void {
		const { area } = this;
		if (this.state !== "mapped" && this.call?.result() === -EACCES) {
			// PR_SET_MDWE, or a security module, forbids what is writable and executable at a time.
			this.prot = PROT_RX;
			this.arm();
			this.finishCall();
			this.atExit();
		}
		if (this.state !== "mapped") {
			const result = this.call?.result() ?? 0n;
			const errno = result < 0n ? Number(-result) : 17;
			throw new KernelError("mmap", errno, `of the agent's memory at ${hex(area)} in task ${this.tid}`, {
				remedy: "check the program's address space limit (ulimit -v), locked memory limit and memory cgroup",
			});
		}
		faultPoint("infect:mapped");
		this.memory = openArea(this.target.facts.pid, area);
		if (this.prot === PROT_RX) this.makeDataWritable();
		faultPoint("infect:opened");
	}

	/** Lets the agent begin. */
	start(): InjectedAgent {
		const { area, chain, restartBlock, memory, savedStack } = this;
		const { facts, thread } = this.target;
		if (memory === undefined) throw new BugError("no memory for an agent");
		const blob = agentBlob();
		const { entryLoop } = readBlobHeader(blob);
		const { page, shared } = memory;
		shared.bytes.set(blob, AREA_BLOB);
		CrCtl.write(shared.view, AREA_CTL, {
			lock: lockWord(),
			flags: chooseFlags(thread, restartBlock),
			area,
			chain_sp: chain.sigreturnSp,
			frame_rax: chain.frameRax,
			frame_rip: chain.frameRip,
			orig_rip: chain.stoppedRip,
			orig_mask: thread.sigmask,
		});
		holdLock(page);
		faultPoint("infect:locked");
		const [entry, stack, ctl] = [AREA_BLOB + entryLoop, AREA_LENGTH, AREA_CTL].map((at) => area + BigInt(at));
		const channel = new AgentChannel(thread.tid, shared, AREA_CTL, AREA_PROGRAM, PROGRAM_LENGTH, area);
		if (this.target.first !== undefined) channel.prepare(this.target.first);
		setRegisters(thread.tid, enterAgent(thread.regs, entry ?? 0n, stack ?? 0n, ctl ?? 0n));
		pt.ptrace(pt.PTRACE_CONT, thread.tid);
		this.state = "started";
		faultPoint("infect:started");
		this.agent = new InjectedAgent(facts, thread, area, chain, savedStack, memory, channel);
		return this.agent;
	}

	/** Puts everything back; failures of that are attached to the error that led here, unless the target is gone. */
	undo(error: unknown): void {
		if (this.agent !== undefined) {
			if (this.target.first !== undefined) this.agent.settle();
			this.agent.undo(error);
			return;
		}
		try {
			this.putBack();
		} catch (undo) {
			if (error instanceof CriuError && !isDead(this.tid)) error.undo.push(undo);
		}
		if (this.memory === undefined) return;
		dropLock(this.memory.page);
		this.memory.release();
	}

	private putBack(): void {
		const { chain, area } = this;
		const { facts, thread } = this.target;
		const { tid } = thread;
		if (this.state === "started") interruptThread(tid, performance.now() + STEP_TIMEOUT_MS);
		// Others of the same batch may have kept us from taking note of it.
		if (this.state === "armed") this.atExit();
		skipCall(tid, performance.now() + STEP_TIMEOUT_MS);
		if (this.state === "mapped" || this.state === "started") {
			const [failed] = removeAreas([{ thread, gadgets: facts.gadgets, chain, area }]);
			if (failed !== undefined) throw failed.error;
		} else {
			pt.setSigmask(tid, thread.sigmask);
			setRegisters(tid, thread.regs);
			putSectionBack(tid, thread.section);
		}
		writeMemory(tid, chain.address, this.savedStack);
	}

	/** True when the bootstrap call, which has been armed, has been made and has succeeded. */
	private hasMapped(): boolean {
		return !pt.isBeforeCall(this.tid) && BigInt.asUintN(64, getReg(getRegisters(this.tid), REG.ax)) === this.area;
	}

	/** Sets a call before the agent is there; should we die now, it ends in the chain. */
	private armCall(nr: number, args: readonly bigint[]): void {
		const { thread, facts } = this.target;
		this.call = new TargetCall(thread, facts.gadgets, this.chain, { nr, args, sp: this.chain.entrySp });
		if (this.state === "stopped") this.state = "armed";
		this.call.arm();
		faultPoint("infect:registers");
		// Only now: had we died before the registers were set, the signals would have stayed blocked for ever.
		pt.setSigmask(thread.tid, ALL_SIGNALS);
		faultPoint("infect:mask");
	}

	private finishCall(): bigint {
		const deadline = performance.now() + STEP_TIMEOUT_MS;
		this.call?.enter(deadline);
		faultPoint("infect:entry");
		return this.call?.finish(deadline) ?? 0n;
	}

	/** Gives up the right to execute all of the area but the code, for the right to write: under PR_SET_MDWE nothing gains it. */
	private makeDataWritable(): void {
		for (const [from, to] of [
			[AREA_CTL, AREA_BLOB],
			[AREA_PROGRAM, AREA_LENGTH],
		] as const) {
			this.armCall(SYS_mprotect, [this.area + BigInt(from), BigInt(to - from), PROT_RW]);
			const result = this.finishCall();
			if (result !== 0n)
				throw new KernelError(
					"mprotect",
					Number(-result),
					`of the agent's memory at ${hex(this.area)} in task ${this.tid}`,
				);
		}
	}
}

/**
 * Brings the agent into stopped targets that share no memory; one whose seccomp filter forbids a call that it needs has to be
 * alone. On any failure registers, mask and stack of all of them are as before.
 *
 * @throws CriuError, KernelError
 */
export function infectTogether(targets: readonly Target[]): InjectedAgent[] {
	const infections: Infection[] = [];
	try {
		for (const target of targets) {
			infections.push(new Infection(target));
			faultPoint("infect:chain");
		}
		const tids = Int32Array.from(infections, ({ tid }) => tid);
		for (const one of infections) one.arm();
		resumeAllToSyscall(tids, performance.now() + STEP_TIMEOUT_MS);
		for (const one of infections) one.atEntry();
		resumeAllToSyscall(tids, performance.now() + STEP_TIMEOUT_MS);
		for (const one of infections) one.atExit();
		return infections.map((one) => {
			one.open();
			return one.start();
		});
	} catch (error) {
		for (const one of infections.reverse()) one.undo(error);
		throw error;
	}
}

/** Brings the agent into one stopped target; see infectTogether. @throws CriuError, KernelError */
export function infect(facts: InjectionFacts, thread: StoppedThread): InjectedAgent {
	return infectTogether([{ facts, thread }])[0] as InjectedAgent;
}

/** How the agent has to behave: without us its calls are subject to seccomp again. */
function chooseFlags(thread: StoppedThread, restartBlock: boolean): number {
	const { rules } = thread;
	const runs = (...calls: number[]) => rules === undefined || calls.every((nr) => rules.judge(nr) === "runs");
	return (
		(restartBlock && runs(SYS_restart_syscall, SYS_rt_sigprocmask) ? CTL_RESTART : 0) |
		(runs(SYS_futex_waitv, SYS_futex) ? 0 : CTL_SPIN)
	);
}

/** Tells when the target has instants in which it wouldn't survive our death: nothing can take seccomp's place then. */
function warnOfWindow({ pid }: InjectionFacts, { rules }: StoppedThread): void {
	if (rules === undefined) return;
	if (rules.kills(SYS_rt_sigreturn))
		log.warn(
			`pid ${pid}: its seccomp filter forbids rt_sigreturn: if criu is killed in the next millisecond, so is it`,
		);
	else if (rules.kills(SYS_mmap) || rules.kills(SYS_munmap))
		log.info(
			`pid ${pid}: its seccomp filter forbids mmap or munmap: criu's death in a microsecond of that would kill it`,
		);
}

/** Opens the memory just mapped in the target and maps it here, with a page of our own before it. */
function openArea(pid: number, area: bigint): AreaMapping {
	const end = area + BigInt(AREA_LENGTH);
	const fd = openAt(`/proc/${pid}/map_files/${area.toString(16)}-${end.toString(16)}`, O_RDWR);
	try {
		return mapSharedBehindPage(fd, AREA_LENGTH, AREA_PROGRAM + PROGRAM_TOUCHED);
	} finally {
		closeFd(fd);
	}
}
