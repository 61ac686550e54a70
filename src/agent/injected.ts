// SPDX-License-Identifier: GPL-2.0-only
// The agent inside a target that goes on living: infect, run programs, cure. The order of steps is what keeps the target
// unharmed when we die in between; reference/injection.md has the measurements.

import { BugError, CriuError, KernelError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { SYS_mmap, SYS_munmap } from "../kernel/abi/syscalls.x86_64.ts";
import type { VmaFacts } from "../kernel/procfs/maps.ts";
import { agentBlob } from "../sys/embedded.ts";
import { closeFd, openAt } from "../sys/file.ts";
import { type Mapping, mapSharedBehindPage } from "../sys/memory.ts";
import { readMemory, writeMemory } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import { buildChain, type Chain, chainSize, getReg, REG, type Registers, withRegs } from "./chain.x86_64.ts";
import { AgentChannel, type ProgramResult } from "./channel.ts";
import { findGadgets, type Gadgets, holdsGadgets } from "./gadgets.x86_64.ts";
import { nameRestartedCall, resumeContext } from "./interrupted.x86_64.ts";
import { AGENT_STACK, AREA_BLOB, AREA_CTL, AREA_PROGRAM, CrCtl, CTL_RESTART, readBlobHeader } from "./layout.ts";
import type { Program } from "./program.ts";
import { dropLock, holdLock, lockWord } from "./robust-list.ts";
import { getRegisters, interruptThread, resumeToSyscall, type StoppedThread, setRegisters } from "./tracee.ts";

const AREA_LENGTH = 160 * 1024;
const PROGRAM_LENGTH = AREA_LENGTH - AREA_PROGRAM - AGENT_STACK;
const PROT_RWX = 7n;
const MAP_BITS = 0x100021n; // MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE
const O_RDWR = 2;
const ALL_SIGNALS = (1n << 64n) - 1n;
const NO_SYSCALL = (1n << 64n) - 1n;
const RED_ZONE = 128n;
const FLAGS_TO_CLEAR = 0x40500n; // TF, DF, AC
const STEP_TIMEOUT_MS = 10_000;
/** Frames of earlier, still running cures may lie in the same place: several slots are used in turn. */
const SLOTS = 8;
const SLOT_STEP = 8192n;
/** Distance of the slots from the ends of the main stack: Go keeps a stack of its own in the upper part. */
const LOW_MARGIN = 16384n;
const HIGH_MARGIN = 65536n;

/** What has to be known of a target before it is stopped, so that little is left to do meanwhile. */
export interface InjectionFacts {
	pid: number;
	vmas: readonly VmaFacts[];
	gadgets: Gadgets;
	/** Address of the main stack (start_stack in /proc/PID/stat). */
	startStack: bigint;
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
			remedy: "link the program with a C library, or give it a signal handler",
		});
	return { pid, vmas, gadgets, startStack };
}

/**
 * Where the chain may lie: dead bytes below the stack pointer, or, when that isn't on the main stack (coroutines,
 * goroutines, alternate stacks), low in the main stack, where hardly any program ever gets.
 */
function placeChain(facts: InjectionFacts, regs: Registers, size: number, taken?: Chain): bigint {
	const stack = facts.vmas.find((vma) => facts.startStack >= vma.start && facts.startStack < vma.end);
	if (stack === undefined || (stack.prot & 3) !== 3)
		throw new CriuError("NO_STACK", `pid ${facts.pid} has no main stack`, {
			remedy: "the program unmapped or protected its stack; such programs can't be dumped",
		});
	const sp = getReg(regs, REG.sp);
	const below = (sp - RED_ZONE - BigInt(size)) & ~63n;
	if (sp > stack.start && sp <= stack.end && below >= stack.start + 4096n) return below;
	const first = stack.start + LOW_MARGIN;
	const room = stack.end - HIGH_MARGIN - BigInt(size) - first;
	if (room < 0n)
		throw new CriuError("NO_STACK", `the main stack of pid ${facts.pid} has no free room`, {
			remedy: "the program uses a tiny stack; such programs can't be dumped",
		});
	const slots = Math.min(SLOTS, Number(room / SLOT_STEP) + 1);
	const start = Math.floor(Math.random() * slots);
	for (let i = 0; i < slots; i++) {
		const low = (first + BigInt((start + i) % slots) * SLOT_STEP) & ~63n;
		const end = low + BigInt(size);
		if (taken === undefined || end <= taken.address || low >= taken.address + BigInt(taken.bytes.length)) return low;
	}
	throw new CriuError("NO_STACK", `the main stack of pid ${facts.pid} has no free room for a second frame`, {
		remedy: "the program uses a tiny stack; such programs can't be dumped",
	});
}

/** An agent at work in a stopped target. All calls come from the thread that seized it. */
export class InjectedAgent {
	private constructor(
		private readonly facts: InjectionFacts,
		private readonly thread: StoppedThread,
		private readonly area: bigint,
		private readonly chain: Chain,
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
		const readCode = (address: bigint, length: number) => readMemory(tid, address, length);
		const resumption = resumeContext(nameRestartedCall(thread.regs, readCode));
		const request = {
			gadgets: facts.gadgets,
			resume: resumption.regs,
			sigmask: thread.sigmask,
			xstate: thread.xstate,
			area,
			areaLength: AREA_LENGTH,
		};
		const size = chainSize(request);
		const chain = buildChain(request, placeChain(facts, thread.regs, size));
		faultPoint("infect:stopped");
		const savedStack = readMemory(tid, chain.address, size);
		writeMemory(tid, chain.address, chain.bytes);
		faultPoint("infect:chain");

		let mappings: { page: Mapping; shared: Mapping } | undefined;
		let mapped = false;
		try {
			mapInTarget(tid, thread.regs, facts.gadgets, chain, area);
			mapped = true;
			faultPoint("infect:mapped");
			mappings = openArea(facts.pid, area);
			faultPoint("infect:opened");
			const { page, shared } = mappings;
			shared.bytes.set(blob, AREA_BLOB);
			CrCtl.write(shared.view, AREA_CTL, {
				lock: lockWord(),
				flags: resumption.restartBlock ? CTL_RESTART : 0,
				area,
				chain_sp: chain.sigreturnSp,
				frame_rax: chain.frameRax,
				frame_rip: chain.frameRip,
				orig_rip: getReg(thread.regs, REG.ip),
				orig_mask: thread.sigmask,
			});
			holdLock(page);
			faultPoint("infect:locked");
			setRegisters(
				tid,
				withRegs(thread.regs, {
					ip: area + BigInt(AREA_BLOB + entryLoop),
					sp: area + BigInt(AREA_LENGTH),
					di: area + BigInt(AREA_CTL),
					orig_ax: NO_SYSCALL,
					flags: getReg(thread.regs, REG.flags) & ~FLAGS_TO_CLEAR,
				}),
			);
			pt.ptrace(pt.PTRACE_CONT, tid);
			faultPoint("infect:started");
			const channel = new AgentChannel(tid, shared, AREA_CTL, AREA_PROGRAM, PROGRAM_LENGTH);
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
	 * Lets another thread of the same process, which stands still too, make the calls of a program; answers go to the agent's
	 * memory. It's back where it was afterwards, also when we die in between: the agent itself needn't know of it.
	 *
	 * @throws CriuError AGENT_OP, KernelError
	 */
	askThread(thread: StoppedThread, program: Program): ProgramResult {
		const { facts, area } = this;
		const { tid } = thread;
		const { gadgets } = facts;
		const readCode = (address: bigint, length: number) => readMemory(tid, address, length);
		const request = {
			gadgets,
			resume: resumeContext(nameRestartedCall(thread.regs, readCode)).regs,
			sigmask: thread.sigmask,
			xstate: thread.xstate,
			area,
			areaLength: AREA_LENGTH,
		};
		const size = chainSize(request);
		const chain = buildChain(request, placeChain(facts, thread.regs, size, this.chain));
		const savedStack = readMemory(tid, chain.address, size);
		writeMemory(tid, chain.address, chain.bytes);
		faultPoint("thread:chain");
		try {
			let first = true;
			return this.channel.runOneByOne(program, area, (nr, args) => {
				const result = callOnce(thread, gadgets, chain, nr, args, first);
				first = false;
				return result;
			});
		} finally {
			pt.setSigmask(tid, thread.sigmask);
			faultPoint("thread:mask");
			setRegisters(tid, thread.regs);
			writeMemory(tid, chain.address, savedStack);
		}
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
		removeArea(tid, this.thread, this.facts.gadgets, this.chain, this.area);
		writeMemory(tid, this.chain.address, this.savedStack);
		faultPoint("cure:restored");
		this.release();
	}

	/** Forgets the agent without touching the target, which is about to be killed or is gone. */
	release(): void {
		dropLock(this.page);
		this.shared.unmap();
		this.page.unmap();
	}
}

/** One call on an instruction that the thread has anyway; should we die now, it ends in the chain's last frame. */
function callOnce(
	thread: StoppedThread,
	gadgets: Gadgets,
	chain: Chain,
	nr: number,
	args: readonly bigint[],
	first: boolean,
): bigint {
	const { tid, regs } = thread;
	const deadline = performance.now() + STEP_TIMEOUT_MS;
	const [di = 0n, si = 0n, dx = 0n, r10 = 0n, r8 = 0n, r9 = 0n] = args;
	setRegisters(
		tid,
		withRegs(regs, {
			ip: gadgets.syscallRet,
			ax: BigInt(nr),
			di,
			si,
			dx,
			r10,
			r8,
			r9,
			sp: chain.lastSp,
			orig_ax: NO_SYSCALL,
			flags: getReg(regs, REG.flags) & ~FLAGS_TO_CLEAR,
		}),
	);
	faultPoint("thread:registers");
	// As with the leader: only once the registers lead to a frame that has the mask.
	if (first) pt.setSigmask(tid, ALL_SIGNALS);
	resumeToSyscall(tid, deadline);
	faultPoint("thread:entry");
	resumeToSyscall(tid, deadline);
	return BigInt.asIntN(64, getReg(getRegisters(tid), REG.ax));
}

/** The one bootstrap call: mmap of shared anonymous memory, run on an instruction that the target has anyway. */
function mapInTarget(tid: number, regs: Registers, gadgets: Gadgets, chain: Chain, area: bigint): void {
	const deadline = performance.now() + STEP_TIMEOUT_MS;
	setRegisters(
		tid,
		withRegs(regs, {
			ip: gadgets.syscallRet,
			ax: BigInt(SYS_mmap),
			di: area,
			si: BigInt(AREA_LENGTH),
			dx: PROT_RWX,
			r10: MAP_BITS,
			r8: ALL_SIGNALS,
			r9: 0n,
			sp: chain.entrySp,
			orig_ax: NO_SYSCALL,
			flags: getReg(regs, REG.flags) & ~FLAGS_TO_CLEAR,
		}),
	);
	faultPoint("infect:registers");
	// Only now: had we died before the registers were set, the signals would have stayed blocked for ever.
	pt.setSigmask(tid, ALL_SIGNALS);
	faultPoint("infect:mask");
	resumeToSyscall(tid, deadline);
	faultPoint("infect:entry");
	resumeToSyscall(tid, deadline);
	const result = BigInt.asIntN(64, getReg(getRegisters(tid), REG.ax));
	if (result !== area)
		throw new KernelError(
			"mmap",
			result < 0n ? Number(-result) : 17,
			`of the agent's memory at ${hex(area)} in task ${tid}`,
			{
				remedy: "check the program's address space limit (ulimit -v), locked memory limit and memory cgroup",
			},
		);
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
function removeArea(tid: number, thread: StoppedThread, gadgets: Gadgets, chain: Chain, area: bigint): void {
	const deadline = performance.now() + STEP_TIMEOUT_MS;
	setRegisters(
		tid,
		withRegs(thread.regs, {
			ip: gadgets.syscallRet,
			ax: BigInt(SYS_munmap),
			di: area,
			si: BigInt(AREA_LENGTH),
			sp: chain.lastSp,
			orig_ax: NO_SYSCALL,
			flags: getReg(thread.regs, REG.flags) & ~FLAGS_TO_CLEAR,
		}),
	);
	faultPoint("cure:registers");
	resumeToSyscall(tid, deadline);
	resumeToSyscall(tid, deadline);
	const result = BigInt.asIntN(64, getReg(getRegisters(tid), REG.ax));
	faultPoint("cure:unmapped");
	pt.setSigmask(tid, thread.sigmask);
	faultPoint("cure:mask");
	setRegisters(tid, thread.regs);
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
			removeArea(tid, thread, facts.gadgets, chain, area);
		} else {
			pt.setSigmask(tid, thread.sigmask);
			setRegisters(tid, thread.regs);
		}
		writeMemory(tid, chain.address, savedStack);
	} catch (undo) {
		if (error instanceof CriuError) error.undo.push(undo);
	}
}
