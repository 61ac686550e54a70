// SPDX-License-Identifier: GPL-2.0-only
// Questions to the threads beside the one that the agent is in: each makes its few calls itself, on an instruction that the
// program has anyway, under ptrace. All threads of a batch make a call at the same time, so that nobody waits for each.

import { faultPoint } from "../fault.ts";
import { readMemory, writeMemory } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import { buildChain, type Chain, chainSize } from "./chain.x86_64.ts";
import type { ProgramResult, SteppedProgram } from "./channel.ts";
import { type InjectedAgent, placeChain, requestChain } from "./injected.ts";
import type { Program } from "./program.ts";
import { putSectionBack } from "./rseq-section.ts";
import { TargetCall } from "./target-call.ts";
import { resumeAllToSyscall, type StoppedThread, setRegisters, skipCall } from "./tracee.ts";

const ALL_SIGNALS = (1n << 64n) - 1n;
const STEP_TIMEOUT_MS = 10_000;
/** Threads of one batch: more gain nothing. */
const BATCH = 128;

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
	) {
		const { facts, area } = agent;
		const { request } = requestChain(facts, thread, area);
		const size = chainSize(request);
		this.chain = buildChain(request, placeChain(facts, thread.regs, size, agent.chain));
		this.savedStack = readMemory(thread.tid, this.chain.address, size);
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

	/** What has to be done at the call's entry. */
	enter(): void {
		this.call?.atEntry();
		faultPoint("thread:entry");
	}

	/** Takes the result at the call's end. @throws CriuError AGENT_OP */
	settle(index: number): void {
		if (this.call !== undefined) this.calls.settle(index, this.call.result());
	}

	/** Puts it back where it was. */
	restore(): void {
		const { tid, regs, sigmask, section } = this.thread;
		skipCall(tid, performance.now() + STEP_TIMEOUT_MS);
		pt.setSigmask(tid, sigmask);
		faultPoint("thread:mask");
		setRegisters(tid, regs);
		putSectionBack(tid, section);
		writeMemory(tid, this.chain.address, this.savedStack);
	}
}

function askBatch(agent: InjectedAgent, questions: readonly ThreadQuestion[], calls: readonly SteppedProgram[]): void {
	const asked: AskedThread[] = [];
	let failure: { error: unknown } | undefined;
	try {
		for (const [i, own] of calls.entries()) {
			const question = questions[i];
			if (question !== undefined) asked.push(new AskedThread(agent, question.thread, own));
		}
		for (let index = 0; ; index++) {
			const active = asked.filter(({ calls: { length } }) => index < length);
			if (active.length === 0) break;
			const tids = Int32Array.from(active, ({ thread: { tid } }) => tid);
			const deadline = performance.now() + STEP_TIMEOUT_MS;
			for (const one of active) one.arm(index);
			resumeAllToSyscall(tids, deadline);
			for (const one of active) one.enter();
			resumeAllToSyscall(tids, deadline);
			for (const one of active) one.settle(index);
		}
	} catch (error) {
		failure = { error };
	}
	for (const one of asked) {
		try {
			one.restore();
		} catch (error) {
			failure ??= { error };
		}
	}
	if (failure !== undefined) throw failure.error;
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
		const rest = questions.slice(answers.length, answers.length + BATCH);
		const calls = agent.programs.layOut(rest.map(({ program }) => program));
		askBatch(agent, rest, calls);
		answers.push(...calls.map((own) => own.results()));
	}
	return answers;
}
