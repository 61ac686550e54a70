// SPDX-License-Identifier: GPL-2.0-only
// The agent inside a target that goes on living: infect, run programs, cure. The order of steps is what keeps the target
// unharmed when we die in between; reference/injection.md has the measurements.

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
import type { VmaFacts } from "../kernel/procfs/maps.ts";
import { log } from "../log.ts";
import { agentBlob } from "../sys/embedded.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { type Mapping, mapSharedBehindPage } from "../sys/memory.ts";
import { readMemory, writeMemory } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import { buildChain, type Chain, type ChainRequest, chainSize, getReg, REG } from "./chain.x86_64.ts";
import { placeChain, type StackFacts } from "./chain-place.ts";
import { AgentChannel } from "./channel.ts";
import { findGadgets, type Gadgets, holdsGadgets } from "./gadgets.x86_64.ts";
import { nameRestartedCall, resumeContext } from "./interrupted.x86_64.ts";
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
import { dropLock, holdLock, lockWord } from "./robust-list.ts";
import { putSectionBack } from "./rseq-section.ts";
import { enterAgent, TargetCall } from "./target-call.ts";
import { interruptThread, isDead, type StoppedThread, setRegisters, skipCall } from "./tracee.ts";

const AREA_LENGTH = 160 * 1024;
const PROGRAM_LENGTH = AREA_LENGTH - AREA_PROGRAM - AGENT_STACK;
const PROT_RW = 3n;
const PROT_RX = 5n;
const PROT_RWX = 7n;
const MAP_BITS = 0x100021n; // MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
const O_RDWR = 2;
const EACCES = 13n;
const ALL_SIGNALS = (1n << 64n) - 1n;
const STEP_TIMEOUT_MS = 10_000;
/** What has to be known of a target before it is stopped, so that little is left to do meanwhile. */
export interface InjectionFacts extends StackFacts {
	readonly gadgets: Gadgets;
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** The middle of the largest gap of an address space: the kernel never picks that itself. */
export function findHole(vmas: ReadonlyArray<{ start: bigint; end: bigint }>, length: number): bigint {
	let best = { start: 0n, size: 0n };
	let at = 0x10000n;
	for (const vma of [...vmas, { start: 0x7ffffffff000n, end: 0x7ffffffff000n }]) {
		if (vma.start > at && vma.start - at > best.size && vma.start <= 0x7ffffffff000n)
			best = { start: at, size: vma.start - at };
		if (vma.end > at) at = vma.end;
	}
	if (best.size < BigInt(length) * 4n)
		throw new CriuError("NO_HOLE", "the address space has no hole large enough for the agent", {
			remedy: "unmap something in the program",
		});
	return (best.start + best.size / 2n) & ~0xfffffn;
}

/**
 * Collects what injection needs. `hint`: what findGadgets gave while the target was still running, taken if it still holds.
 *
 * @throws CriuError NO_GADGETS
 */
export function collectInjectionFacts(
	pid: number,
	vmas: readonly VmaFacts[],
	startStack: bigint,
	hint?: Gadgets,
): InjectionFacts {
	const gadgets = hint !== undefined && holdsGadgets(pid, vmas, hint) ? hint : findGadgets(pid, vmas);
	if (gadgets === undefined)
		throw new CriuError("NO_GADGETS", `pid ${pid} has no code that can leave a signal frame`, {
			remedy: "link the program with a C library, give it a signal handler, or don't let it unmap its vdso",
		});
	return { pid, vmas, gadgets, startStack };
}

/** An agent at work in a stopped target. All calls come from the thread that seized it. */
export class InjectedAgent {
	private constructor(
		readonly facts: InjectionFacts,
		readonly thread: StoppedThread,
		/** Where its memory lies in the target. */
		readonly area: bigint,
		readonly chain: Chain,
		private readonly savedStack: Uint8Array,
		private readonly page: Mapping,
		private readonly shared: Mapping,
		private readonly channel: AgentChannel,
	) {}

	/**
	 * Brings the agent into a stopped target. On any failure the target's registers, mask and stack are as before.
	 *
	 * @throws CriuError, KernelError
	 */
	static infect(facts: InjectionFacts, thread: StoppedThread): InjectedAgent {
		const { tid } = thread;
		const blob = agentBlob();
		const { entryLoop } = readBlobHeader(blob);
		const area = findHole(facts.vmas, AREA_LENGTH);
		const { request, restartBlock } = requestChain(facts, thread, area);
		warnOfWindow(facts, thread);
		const size = chainSize(request);
		const chain = buildChain(request, placeChain(facts, thread.regs, size));
		faultPoint("infect:stopped");
		const savedStack = readMemory(tid, chain.address, size);
		writeMemory(tid, chain.address, chain.bytes);
		faultPoint("infect:chain");

		let mappings: { page: Mapping; shared: Mapping } | undefined;
		let mapped = false;
		try {
			const prot = mapInTarget(thread, facts.gadgets, chain, area);
			mapped = true;
			faultPoint("infect:mapped");
			mappings = openArea(facts.pid, area);
			if (prot === PROT_RX) makeDataWritable(thread, facts.gadgets, chain, area);
			faultPoint("infect:opened");
			const { page, shared } = mappings;
			shared.bytes.set(blob, AREA_BLOB);
			CrCtl.write(shared.view, AREA_CTL, {
				lock: lockWord(),
				flags: chooseFlags(thread, restartBlock),
				area,
				chain_sp: chain.sigreturnSp,
				frame_rax: chain.frameRax,
				frame_rip: chain.frameRip,
				orig_rip: getReg(thread.regs, REG.ip),
				orig_mask: thread.sigmask,
			});
			holdLock(page);
			faultPoint("infect:locked");
			const [entry, stack, ctl] = [AREA_BLOB + entryLoop, AREA_LENGTH, AREA_CTL].map((at) => area + BigInt(at));
			setRegisters(tid, enterAgent(thread.regs, entry ?? 0n, stack ?? 0n, ctl ?? 0n));
			pt.ptrace(pt.PTRACE_CONT, tid);
			faultPoint("infect:started");
			const channel = new AgentChannel(tid, shared, AREA_CTL, AREA_PROGRAM, PROGRAM_LENGTH, area);
			return new InjectedAgent(facts, thread, area, chain, savedStack, page, shared, channel);
		} catch (error) {
			undoInfection(facts, thread, chain, savedStack, area, mapped, error);
			if (mappings !== undefined) {
				dropLock(mappings.page);
				mappings.shared.unmap();
				mappings.page.unmap();
			}
			throw error;
		}
	}

	/** Runs programs in the target; see AgentChannel.run. */
	get programs(): AgentChannel {
		return this.channel;
	}

	/**
	 * Takes the agent out: no mapping, register, mask or stack byte tells of it afterwards. The target stands still, as
	 * before infect; an interrupted call resumes with its remaining time when it is detached.
	 */
	cure(): void {
		const { tid } = this.thread;
		const deadline = performance.now() + STEP_TIMEOUT_MS;
		interruptThread(tid, deadline);
		faultPoint("cure:interrupted");
		removeArea(this.thread, this.facts.gadgets, this.chain, this.area);
		writeMemory(tid, this.chain.address, this.savedStack);
		faultPoint("cure:restored");
		this.release();
	}

	/** Takes the agent out after a failure; what fails of that is told beside it, unless the target is gone. */
	undo(error: unknown): void {
		try {
			this.cure();
		} catch (undo) {
			this.release();
			if (error instanceof CriuError && !isDead(this.thread.tid)) error.undo.push(undo);
		}
	}

	/** Forgets the agent without touching the target, which is about to be killed or is gone. */
	release(): void {
		dropLock(this.page);
		this.shared.unmap();
		this.page.unmap();
	}
}

/** The chain back to where a thread is. */
export function requestChain(
	facts: InjectionFacts,
	thread: StoppedThread,
	area: bigint,
): { request: ChainRequest; restartBlock: boolean } {
	const { tid, sigmask, xstate, rules } = thread;
	const readCode = (address: bigint, length: number) => readMemory(tid, address, length);
	const { regs: resume, restartBlock } = resumeContext(nameRestartedCall(thread.regs, readCode));
	const { gadgets } = facts;
	const keepArea = rules?.kills(SYS_munmap, [area, BigInt(AREA_LENGTH)], gadgets.syscallRet + 2n) === true;
	return { request: { gadgets, resume, sigmask, xstate, area, areaLength: AREA_LENGTH, keepArea }, restartBlock };
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

/** A call before the agent is there; should we die now, it ends in the chain. */
function callEarly(thread: StoppedThread, gadgets: Gadgets, chain: Chain, nr: number, args: readonly bigint[]): bigint {
	const deadline = performance.now() + STEP_TIMEOUT_MS;
	const call = new TargetCall(thread, gadgets, chain, { nr, args, sp: chain.entrySp });
	call.arm();
	faultPoint("infect:registers");
	// Only now: had we died before the registers were set, the signals would have stayed blocked for ever.
	pt.setSigmask(thread.tid, ALL_SIGNALS);
	faultPoint("infect:mask");
	call.enter(deadline);
	faultPoint("infect:entry");
	return call.finish(deadline);
}

/** The bootstrap call: mmap of shared anonymous memory. Gives the protection that the target could have it with. */
function mapInTarget(thread: StoppedThread, gadgets: Gadgets, chain: Chain, area: bigint): bigint {
	const map = (prot: bigint) =>
		callEarly(thread, gadgets, chain, SYS_mmap, [area, BigInt(AREA_LENGTH), prot, MAP_BITS, ALL_SIGNALS, 0n]);
	let prot = PROT_RWX;
	let result = map(prot);
	if (result === -EACCES) {
		// PR_SET_MDWE, or a security module, forbids what is writable and executable at a time.
		prot = PROT_RX;
		result = map(prot);
	}
	if (result === area) return prot;
	const errno = result < 0n ? Number(-result) : 17;
	throw new KernelError("mmap", errno, `of the agent's memory at ${hex(area)} in task ${thread.tid}`, {
		remedy: "check the program's address space limit (ulimit -v), locked memory limit and memory cgroup",
	});
}

/** Gives up the right to execute all of the area but the code, for the right to write: under PR_SET_MDWE nothing gains it. */
function makeDataWritable(thread: StoppedThread, gadgets: Gadgets, chain: Chain, area: bigint): void {
	for (const [from, to] of [
		[AREA_CTL, AREA_BLOB],
		[AREA_PROGRAM, AREA_LENGTH],
	] as const) {
		const args = [area + BigInt(from), BigInt(to - from), PROT_RW];
		const result = callEarly(thread, gadgets, chain, SYS_mprotect, args);
		if (result !== 0n)
			throw new KernelError("mprotect", Number(-result), `of the agent's memory at ${hex(area)} in task ${thread.tid}`);
	}
}

/** Opens the memory just mapped in the target and maps it here, with a page of our own before it. */
function openArea(pid: number, area: bigint): { page: Mapping; shared: Mapping } {
	const end = area + BigInt(AREA_LENGTH);
	const fd = openAt(`/proc/${pid}/map_files/${area.toString(16)}-${end.toString(16)}`, O_RDWR);
	try {
		return mapSharedBehindPage(fd, AREA_LENGTH);
	} finally {
		closeFd(fd);
	}
}

/** munmap of the area on the target's own instruction, then its mask and registers as they were. */
function removeArea(thread: StoppedThread, gadgets: Gadgets, chain: Chain, area: bigint): void {
	const { tid } = thread;
	const deadline = performance.now() + STEP_TIMEOUT_MS;
	const args = [area, BigInt(AREA_LENGTH)];
	const call = new TargetCall(thread, gadgets, chain, { nr: SYS_munmap, args, sp: chain.lastSp });
	call.arm();
	faultPoint("cure:registers");
	call.enter(deadline);
	const result = call.finish(deadline);
	faultPoint("cure:unmapped");
	pt.setSigmask(tid, thread.sigmask);
	faultPoint("cure:mask");
	setRegisters(tid, thread.regs);
	putSectionBack(tid, thread.section);
	if (result !== 0n) throw new BugError(`munmap of the agent's memory in task ${tid} gave ${result}`);
}

/** Puts everything back after a failed infection; failures of that are attached to the error that led here. */
function undoInfection(
	facts: InjectionFacts,
	thread: StoppedThread,
	chain: Chain,
	savedStack: Uint8Array,
	area: bigint,
	mapped: boolean,
	error: unknown,
): void {
	try {
		const { tid } = thread;
		if (mapped) {
			interruptThread(tid, performance.now() + STEP_TIMEOUT_MS);
			removeArea(thread, facts.gadgets, chain, area);
		} else {
			skipCall(tid, performance.now() + STEP_TIMEOUT_MS);
			pt.setSigmask(tid, thread.sigmask);
			setRegisters(tid, thread.regs);
			putSectionBack(tid, thread.section);
		}
		writeMemory(tid, chain.address, savedStack);
	} catch (undo) {
		if (error instanceof CriuError) error.undo.push(undo);
	}
}
