// SPDX-License-Identifier: GPL-2.0-only
// Questions to the threads beside the one that the agent is in. They are led into its area, where each runs its program
// (led-threads.ts); where that can't be, each makes its few calls itself, on an instruction that the program has anyway, under
// ptrace. All threads of a batch are on their way at the same time, so that nobody waits for each.

import { BugError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { readMemory, writeMemory } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import { buildChain, type Chain, type ChainRequest, chainSize } from "./chain.ts";
import { placeChain, placeThreadChains } from "./chain-place.ts";
import type { ProgramResult, SteppedProgram } from "./channel.ts";
import { type InjectedAgent, type InjectionFacts, requestChain } from "./injected.ts";
import { canBeLed, countLed, type LedQuestion, leadThreads } from "./led-threads.ts";
import type { Program } from "./program.ts";
import { putSectionBack } from "./rseq-section.ts";
import { TargetCall } from "./target-call.ts";
import { resumeAllToSyscall, resumeToSyscall, type StoppedThread, setRegisters, skipCall } from "./tracee.ts";

const ALL_SIGNALS = (1n << 64n) - 1n;
const STEP_TIMEOUT_MS = 10_000;
/** Threads of one batch: more gain nothing. */
const BATCH = 32;

/** System calls for a thread to make. */
export interface ThreadQuestion {
	readonly thread: StoppedThread;
	readonly program: Program;
}

/** A thread that is led through its calls. Should we die meanwhile, it ends in the last frame of its own chain. */
class AskedThread {
	private readonly chain: Chain;
	private readonly savedStack: Uint8Array;
	private call: TargetCall | undefined;

	constructor(
		private readonly agent: InjectedAgent,
		readonly thread: StoppedThread,
		readonly calls: SteppedProgram,
		request: ChainRequest,
		place: bigint,
	) {
		this.chain = buildChain(request, place);
		this.savedStack = readMemory(thread.tid, place, this.chain.bytes.length);
		writeMemory(thread.tid, this.chain.address, this.chain.bytes);
		faultPoint("thread:chain");
	}

	/** Sets the registers for a call. */
	arm(index: number): void {
		const { nr, args } = this.calls.callAt(index);
		this.call = new TargetCall(this.thread, this.agent.facts.gadgets, this.chain, { nr, args, sp: this.chain.lastSp });
		this.call.arm();
		faultPoint("thread:registers");
		// As with the leader: only once the registers lead to a frame that has the mask.
		if (index === 0) pt.setSigmask(this.thread.tid, ALL_SIGNALS);
	}

	/** True when the call would be its end without us: it has to be let through at once when it has become that call. */
	get isDaring(): boolean {
		return this.call?.escapes === true;
	}

	/** Makes a daring call, from its entry to its end. */
	dare(deadline: number): void {
		this.call?.atEntry();
		resumeToSyscall(this.thread.tid, deadline);
	}

	/** Takes the result at the call's end. @throws CriuError AGENT_OP */
	settle(index: number): void {
		if (this.call !== undefined) this.calls.settle(index, this.call.result());
	}

	/** Puts it back where it was. */
	restore(): void {
		const { tid, regs, sigmask, section } = this.thread;
		skipCall(tid, performance.now() + STEP_TIMEOUT_MS);
		try {
			pt.setSigmask(tid, sigmask);
			faultPoint("thread:mask");
		} finally {
			setRegisters(tid, regs);
			putSectionBack(tid, section);
			writeMemory(tid, this.chain.address, this.savedStack);
		}
	}

	/** Where its chain lies. */
	get place(): bigint {
		return this.chain.address;
	}
}

/** Leads threads through their calls one by one. Gives the answers of as many of the first ones as have room. */
function stepThreads(agent: InjectedAgent, questions: readonly LedQuestion[]): ProgramResult[] {
	const calls = agent.programs.layOut(questions.map(({ program }) => program));
	const asked: AskedThread[] = [];
	let failure: { error: unknown } | undefined;
	try {
		for (const [i, own] of calls.entries()) {
			const question = questions[i];
			if (question === undefined) throw new BugError("a thread too many");
			asked.push(new AskedThread(agent, question.thread, own, question.request, question.place));
		}
		// From the highest place down, and back from the lowest up: should we die while one has its signals but is on its
		// chain, their frames come below that, where nobody else's chain may be in use then.
		asked.sort((a, b) => (a.place > b.place ? -1 : 1));
		for (let index = 0; ; index++) {
			const active = asked.filter(({ calls: { length } }) => index < length);
			if (active.length === 0) break;
			const tidsOf = (list: readonly AskedThread[]) => Int32Array.from(list, ({ thread: { tid } }) => tid);
			const deadline = performance.now() + STEP_TIMEOUT_MS;
			for (const one of active) one.arm(index);
			resumeAllToSyscall(tidsOf(active), deadline);
			for (const _ of active) faultPoint("thread:entry");
			resumeAllToSyscall(tidsOf(active.filter(({ isDaring }) => !isDaring)), deadline);
			for (const one of active) if (one.isDaring) one.dare(deadline);
			for (const one of active) one.settle(index);
		}
	} catch (error) {
		failure = { error };
	}
	asked.sort((a, b) => (a.place < b.place ? -1 : 1));
	for (const one of asked) {
		try {
			one.restore();
		} catch (error) {
			failure ??= { error };
		}
	}
	if (failure !== undefined) throw failure.error;
	return calls.map((own) => own.results());
}

function useChain(facts: InjectionFacts, thread: StoppedThread, area: bigint) {
	const request = { ...requestChain(facts, thread, area).request, isShort: true };
	return { tid: thread.tid, regs: thread.regs, request, size: chainSize(request) };
}

/**
 * Makes sure that threads of 32-bit code can be asked, which takes that they are led into the area: the calls that they could make
 * by ptrace are other ones. `carrier`: the thread that the agent will be in.
 *
 * @throws CriuError NO_STACK
 */
export function checkThreadRoom(facts: InjectionFacts, carrier: StoppedThread, others: readonly StoppedThread[]): void {
	if (others.length === 0) return;
	const size = chainSize(requestChain(facts, carrier, 0n).request);
	const start = placeChain(facts, carrier.regs, size);
	const users = others.map((thread) => useChain(facts, thread, 0n));
	placeThreadChains(facts, users, carrier.regs, { start, end: start + BigInt(size) }, true);
}

/** Asks as many of the first threads as have room at a time. Gives their answers. */
function askBatch(agent: InjectedAgent, questions: readonly ThreadQuestion[]): ProgramResult[] {
	const { facts, area, chain, thread: carrier } = agent;
	const users = questions.map(({ thread }) => useChain(facts, thread, area));
	const taken = { start: chain.address, end: chain.address + BigInt(chain.bytes.length) };
	const places = placeThreadChains(facts, users, carrier.regs, taken, facts.gadgets.isIa32);
	const placed: LedQuestion[] = [];
	for (const [i, place] of places.entries()) {
		const [question, request] = [questions[i], users[i]?.request];
		if (question === undefined || request === undefined) throw new BugError("a place too many");
		placed.push({ ...question, request, place });
	}
	if (!canBeLed(agent, placed)) return stepThreads(agent, placed);
	return leadThreads(agent, placed.slice(0, countLed(agent.programs.room, placed)));
}

/**
 * Lets other threads of the agent's process, which stand still too, make the calls of their programs; answers go to the
 * agent's memory. All are back where they were afterwards, also when we die in between: the agent needn't know of it.
 * Gives the answers in the order of the questions.
 *
 * @throws CriuError AGENT_OP, TASK_GONE, STOP_TIMEOUT; KernelError
 */
export function askThreads(agent: InjectedAgent, questions: readonly ThreadQuestion[]): ProgramResult[] {
	const answers: ProgramResult[] = [];
	while (answers.length < questions.length) {
		answers.push(...askBatch(agent, questions.slice(answers.length, answers.length + BATCH)));
	}
	return answers;
}
