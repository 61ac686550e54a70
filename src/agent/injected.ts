// SPDX-License-Identifier: GPL-2.0-only
// The agent inside a target that goes on living, and taking it out again (infect.ts brings it in). The order of steps is what
// keeps the target unharmed when we die in between; reference/injection.md has the measurements.

import { BugError, CriuError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { SYS_munmap } from "../kernel/abi/syscalls.x86_64.ts";
import { TASK_SIZE } from "../kernel/abi/task-size.x86_64.ts";
import type { VmaFacts } from "../kernel/procfs/maps.ts";
import { log } from "../log.ts";
import type { AreaMapping } from "../sys/memory.ts";
import { readMemory, writeMemory } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import type { Chain, ChainRequest } from "./chain.ts";
import type { StackFacts } from "./chain-place.ts";
import type { AgentChannel } from "./channel.ts";
import { findGadgets, type Gadgets, holdsGadgets } from "./gadgets.ts";
import { nameRestartedCall, resumeContext } from "./interrupted.x86_64.ts";
import { getReg, REG } from "./registers.x86_64.ts";
import { dropLock } from "./robust-list.ts";
import { putSectionBack } from "./rseq-section.ts";
import { TargetCall } from "./target-call.ts";
import { isDead, type StoppedThread, setRegisters, tryInterruptAll, tryResumeAll } from "./tracee.ts";

/** Of the agent's memory in a target. */
export const AREA_LENGTH = 160 * 1024;
const STEP_TIMEOUT_MS = 10_000;

/** What has to be known of a target before it is stopped, so that little is left to do meanwhile. */
export interface InjectionFacts extends StackFacts {
	readonly gadgets: Gadgets;
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** Below it places are looked for that 32-bit code can reach: not in the last pages, some of which the kernel keeps free. */
export const PLACE_LIMIT_32 = 0xffff0000n;

/** The middle of the largest gap of an address space, below `limit`: the kernel never picks that itself. */
export function findHole(
	vmas: ReadonlyArray<{ start: bigint; end: bigint }>,
	length: number,
	limit: bigint = TASK_SIZE,
): bigint {
	let best = { start: 0n, size: 0n };
	let at = 0x10000n;
	for (const vma of [...vmas, { start: limit, end: limit }]) {
		const start = vma.start < limit ? vma.start : limit;
		if (start > at && start - at > best.size) best = { start: at, size: start - at };
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
	isIa32 = false,
	hint?: Gadgets,
): InjectionFacts {
	const holds = hint !== undefined && hint.isIa32 === isIa32 && holdsGadgets(pid, vmas, hint);
	const gadgets = holds ? hint : findGadgets(pid, vmas, isIa32);
	if (gadgets === undefined)
		throw new CriuError("NO_GADGETS", `pid ${pid} has no code that can leave a signal frame`, {
			remedy: "link the program with a C library, give it a signal handler, or don't let it unmap its vdso",
		});
	return { pid, vmas, gadgets, startStack };
}

/** An agent at work in a stopped target. All calls come from the thread that seized it. */
export class InjectedAgent {
	/** See infectTogether. */
	constructor(
		readonly facts: InjectionFacts,
		readonly thread: StoppedThread,
		/** Where its memory lies in the target. */
		readonly area: bigint,
		readonly chain: Chain,
		readonly savedStack: Uint8Array,
		private readonly memory: AreaMapping,
		private readonly channel: AgentChannel,
	) {}

	/** Runs programs in the target; see AgentChannel.run. */
	get programs(): AgentChannel {
		return this.channel;
	}

	/** Waits for a program whose result doesn't matter any more. */
	settle(): void {
		try {
			this.channel.awaitEnd();
		} catch (error) {
			log.debug(() => `pid ${this.facts.pid}: ${error}`);
		}
	}

	/** Takes the agent out; see cureTogether. */
	cure(): void {
		cureTogether([this]);
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
		dropLock(this.memory.page);
		this.memory.release();
	}
}

/** What failed for one of several. */
type Failure = { readonly error: unknown } | undefined;

/** Does something for each of those that nothing has failed for yet, and takes note of what fails. */
function forEach<T>(list: readonly T[], failures: Failure[], work: (one: T) => void): void {
	for (const [i, one] of list.entries()) {
		if (failures[i] !== undefined) continue;
		try {
			work(one);
		} catch (error) {
			failures[i] = { error };
		}
	}
}

/**
 * Takes agents out: no mapping, register, mask or stack byte tells of them afterwards. The targets stand still, as before
 * they came; an interrupted call resumes with its remaining time when it is detached. All are tried, also when it fails for one.
 *
 * @throws CriuError, KernelError
 */
export function cureTogether(agents: readonly InjectedAgent[]): void {
	const failures: Failure[] = agents.map(() => undefined);
	const tids = Int32Array.from(agents, ({ thread: { tid } }) => tid);
	const interrupted = tryInterruptAll(tids, performance.now() + STEP_TIMEOUT_MS);
	for (const [i, failure] of interrupted.entries()) failures[i] = failure;
	forEach(agents, failures, () => faultPoint("cure:interrupted"));
	const standing = agents.filter((_, i) => failures[i] === undefined);
	const removed = removeAreas(
		standing.map(({ thread, facts: { gadgets }, chain, area }) => ({ thread, gadgets, chain, area })),
	);
	forEach(standing, removed, (agent) => {
		writeMemory(agent.thread.tid, agent.chain.address, agent.savedStack);
		faultPoint("cure:restored");
		agent.release();
	});
	const failed = [...failures, ...removed].find((failure) => failure !== undefined);
	if (failed !== undefined) throw failed.error;
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
	const stoppedIp = getReg(thread.regs, REG.ip);
	const request = { gadgets, resume, stoppedIp, sigmask, xstate, area, areaLength: AREA_LENGTH, keepArea };
	return { request, restartBlock };
}

/** An agent's memory in a target that stands still. */
interface TargetArea {
	readonly thread: StoppedThread;
	readonly gadgets: Gadgets;
	readonly chain: Chain;
	readonly area: bigint;
}

/** munmap of the areas on the targets' own instructions, then their masks and registers as they were. Gives what failed, by place. */
export function removeAreas(areas: readonly TargetArea[]): Failure[] {
	const failures: Failure[] = areas.map(() => undefined);
	const calls = areas.map(({ thread, gadgets, chain, area }) => {
		const args = [area, BigInt(AREA_LENGTH)];
		return { thread, area, call: new TargetCall(thread, gadgets, chain, { nr: SYS_munmap, args, sp: chain.lastSp }) };
	});
	const step = () => {
		const places = [...calls.keys()].filter((i) => failures[i] === undefined);
		const tids = Int32Array.from(places, (i) => calls[i]?.thread.tid ?? 0);
		const results = tryResumeAll(tids, performance.now() + STEP_TIMEOUT_MS);
		for (const [k, i] of places.entries()) failures[i] = results[k];
	};
	forEach(calls, failures, ({ call }) => {
		call.arm();
		faultPoint("cure:registers");
	});
	step();
	forEach(calls, failures, ({ call }) => call.atEntry());
	step();
	forEach(calls, failures, ({ thread, area, call }) => {
		const { tid, sigmask, regs, section } = thread;
		const result = call.result();
		faultPoint("cure:unmapped");
		pt.setSigmask(tid, sigmask);
		faultPoint("cure:mask");
		setRegisters(tid, regs);
		putSectionBack(tid, section);
		if (result !== 0n) throw new BugError(`munmap of the agent's memory at ${hex(area)} in task ${tid} gave ${result}`);
	});
	return failures;
}
