// SPDX-License-Identifier: GPL-2.0-only
// Threads beside the agent's that are led into its area: each runs its program there and waits to be taken out, so that it stops
// once for all of its calls. Whatever becomes of us, they leave by themselves, and the agent's thread, whose way home takes
// the area away, waits for them: `struct cr_slot` (cparts/agent/agent.h) tells how it knows of whom.

import { BugError, CriuError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { SYS_futex } from "../kernel/abi/syscalls.x86_64.ts";
import { USER32_CS } from "../kernel/abi/user-regs.x86_64.ts";
import { findVmaAt } from "../kernel/procfs/maps.ts";
import { agentBlob } from "../sys/embedded.ts";
import { futexWait, readMemory, writeMemory } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import { buildChain, type Chain, type ChainRequest } from "./chain.ts";
import { type ProgramResult, type ProgramRoom, readResults, throwFailedOp } from "./channel.ts";
import { returnRegisters, returnWords, wordSize } from "./gadgets.x86_64.ts";
import type { InjectedAgent } from "./injected.ts";
import { AREA_BLOB, CrCtl, CrSlot, readBlobHeader, SLOT_FREE, SLOT_INSIDE, SLOT_LED, SLOT_LEFT } from "./layout.ts";
import { encodeProgram, type Program, sizeProgram } from "./program.ts";
import { getReg, REG, type Registers, withRegs } from "./registers.x86_64.ts";
import { putSectionBack } from "./rseq-section.ts";
import { callRegisters, FLAGS_TO_CLEAR, NO_SYSCALL } from "./target-call.ts";
import {
	backOff,
	interruptAll,
	interruptThread,
	isDead,
	peekStop,
	type StoppedThread,
	setRegisters,
} from "./tracee.ts";

const ALL_SIGNALS = (1n << 64n) - 1n;
const STEP_TIMEOUT_MS = 10_000;
const CALL_LENGTH = 2n;
/** Of one thread, which takes no signals there. */
const STACK = 1024;
/** Lengths of the first wait and of the longest: a stop that nobody asked for keeps a thread from its work. */
const FIRST_WAIT_MS = 5;
const LONGEST_WAIT_MS = 20;
const FUTEX_WAKE_OP = 5n;
/** FUTEX_OP(FUTEX_OP_SET, SLOT_LEFT, FUTEX_OP_CMP_EQ, 0). */
const SET_LEFT = BigInt(SLOT_LEFT) << 12n;

/** A thread that is to be led, with its program and where its chain (`isShort`) is to lie. */
export interface LedQuestion {
	readonly thread: StoppedThread;
	readonly program: Program;
	readonly request: ChainRequest;
	readonly place: bigint;
}

const align16 = (value: number) => (value + 15) & ~15;

/**
 * True where threads can be led: by a `ret` that they have anyway; from the main stack, where the agent may look for their words
 * also when they are gone already; and not under seccomp, which forbids what it likes once we are dead.
 */
export function canBeLed({ facts, thread: carrier }: InjectedAgent, questions: readonly LedQuestion[]): boolean {
	const stack = findVmaAt(facts.vmas, facts.startStack);
	return (
		facts.gadgets.wayOut.at !== undefined &&
		carrier.rules === undefined &&
		questions.every(({ thread: { rules }, place }) => rules === undefined && findVmaAt(facts.vmas, place) === stack)
	);
}

/** How many of the first programs have room at a time. */
export function countLed({ length }: ProgramRoom, questions: readonly LedQuestion[]): number {
	let used = 0;
	let count = 0;
	for (const { program } of questions) {
		used += CrSlot.size + STACK + align16(sizeProgram(program));
		if (used > length) break;
		count++;
	}
	if (count === 0 && questions.length > 0) throw new BugError("a program that is larger than its room");
	return count;
}

/** One thread on its way through the area. */
class LedThread {
	readonly tid: number;
	private readonly chain: Chain;
	private readonly savedStack: Uint8Array;
	/** Of the word on its stack that leads home or into the area. */
	private readonly retAt: bigint;
	/** Its value that leads home. */
	private readonly home: bigint;
	/** Registers with which it goes home by a call that tells the agent so. */
	private readonly leaving: Registers;
	private state: "stopped" | "armed" | "running" | "standing" = "stopped";

	/** `slotAt`, `programAt`, `stackEnd`: offsets in the area. */
	constructor(
		private readonly agent: InjectedAgent,
		private readonly room: ProgramRoom,
		private readonly question: LedQuestion,
		private readonly slotAt: number,
		private readonly programAt: number,
		stackEnd: number,
	) {
		const { thread, program, request, place } = question;
		const { gadgets } = agent.facts;
		this.tid = thread.tid;
		this.chain = buildChain(request, place);
		this.savedStack = readMemory(this.tid, place, this.chain.bytes.length);
		writeMemory(this.tid, place, this.chain.bytes);
		const { callWords, syscallRet } = gadgets;
		this.retAt = this.chain.lastSp + BigInt(wordSize(gadgets) * callWords);
		this.home = returnWords(gadgets)[callWords] ?? 0n;
		const state = room.address + BigInt(slotAt + CrSlot.offsets.state);
		const wake = [state, FUTEX_WAKE_OP, 1n, 0n, state, SET_LEFT];
		this.leaving = this.changed({ ...callRegisters(gadgets, SYS_futex, wake), ip: syscallRet });
		const { nrOps } = encodeProgram(program, programAt, room.area.bytes.subarray(programAt));
		CrSlot.write(room.area.view, slotAt, {
			state: SLOT_FREE,
			nr_ops: nrOps,
			ret_at: this.retAt,
			home: this.home,
			call: gadgets.isIa32 ? syscallRet | (BigInt(USER32_CS) << 32n) : syscallRet,
			leave_sp: this.chain.lastSp,
			stack: room.address + BigInt(stackEnd),
			program: BigInt(programAt),
			failed: 0xffffffff,
			is_ia32: gadgets.isIa32 ? 1 : 0,
		});
		faultPoint("thread:chain");
	}

	/** Where its chain lies. */
	get place(): bigint {
		return this.chain.address;
	}

	private changed(change: Partial<Record<keyof typeof REG, bigint>>): Registers {
		const { regs } = this.question.thread;
		const flags = getReg(regs, REG.flags) & ~FLAGS_TO_CLEAR;
		const way = returnRegisters(this.agent.facts.gadgets);
		return withRegs(regs, { ...way, sp: this.chain.lastSp, orig_ax: NO_SYSCALL, flags, ...change });
	}

	private pointTo(address: bigint): void {
		writeMemory(this.tid, this.retAt, new Uint8Array(BigUint64Array.of(address).buffer));
	}

	private setState(state: number): void {
		Atomics.store(new Int32Array(this.room.area.bytes.buffer, this.slotAt, 1), 0, state);
	}

	private getState(): number {
		return Atomics.load(new Int32Array(this.room.area.bytes.buffer, this.slotAt, 1), 0);
	}

	/** Sets its registers, which lead home as yet, behind the call that others make there. */
	arm(): void {
		this.state = "armed";
		setRegisters(this.tid, this.changed({ ip: this.agent.facts.gadgets.syscallRet + CALL_LENGTH, ax: 0n }));
		faultPoint("thread:registers");
		// As with the leader: only once the registers lead to a frame that has the mask.
		pt.setSigmask(this.tid, ALL_SIGNALS);
	}

	/** Lets it into the area. */
	enter(entry: bigint): void {
		this.setState(SLOT_LED);
		faultPoint("thread:led");
		this.pointTo(entry);
		faultPoint("thread:entry");
		this.state = "running";
		pt.ptrace(pt.PTRACE_CONT, this.tid);
	}

	/** Lets it go on from a stop that nobody asked for. `mayBeDead`: its end may not be told. @throws CriuError TASK_GONE */
	attend(mayBeDead: boolean): void {
		const stop = peekStop(this.tid);
		if (stop === undefined ? mayBeDead && isDead(this.tid) : stop.kind === "gone")
			throw new CriuError("TASK_GONE", `task ${this.tid} was ended by somebody else`, {
				remedy: "look who killed it (dmesg, the out-of-memory killer)",
			});
		// SIGSTOP can't be blocked: it takes effect once the thread is let go.
		if (stop !== undefined) pt.ptrace(pt.PTRACE_CONT, this.tid, 0, stop.kind === "signal" ? stop.signal : 0);
	}

	/** It has been stopped in its wait. */
	hasStopped(): void {
		this.state = "standing";
	}

	/** Puts it back where it was. What fails is tried once more: what is left undone would be its end. */
	restore(): void {
		const { tid, question, savedStack } = this;
		const { regs, sigmask, section } = question.thread;
		if (this.state === "running") this.takeIn();
		const { state } = this;
		let failure: { error: unknown } | undefined;
		const step = (work: () => void) => {
			try {
				work();
			} catch (error) {
				if (failure === undefined) failure = { error };
				try {
					work();
				} catch {}
			}
		};
		if (state === "standing")
			step(() => {
				// Before and after this the agent is told when it has left the area.
				setRegisters(tid, this.leaving);
				faultPoint("thread:leaving");
			});
		// Let into the area, but not gone on: its word leads home again first.
		else if (state === "armed") step(() => this.pointTo(this.home));
		this.setState(SLOT_LEFT);
		if (state !== "stopped") {
			step(() => {
				pt.setSigmask(tid, sigmask);
				faultPoint("thread:mask");
			});
			step(() => setRegisters(tid, regs));
			step(() => putSectionBack(tid, section));
		}
		step(() => writeMemory(tid, this.chain.address, savedStack));
		if (failure !== undefined) throw failure.error;
	}

	/** Something has failed while it's on its way: it's stopped where it is sure to tell that it leaves. */
	private takeIn(): void {
		const deadline = performance.now() + STEP_TIMEOUT_MS;
		for (let round = 0; this.getState() !== SLOT_INSIDE; round++) {
			this.attend(round % 32 === 31);
			backOff(round);
			if (performance.now() > deadline)
				throw new CriuError("STOP_TIMEOUT", `task ${this.tid} doesn't go on`, {
					remedy: "try again when the machine is less busy",
				});
		}
		interruptThread(this.tid, performance.now() + STEP_TIMEOUT_MS);
		this.hasStopped();
	}

	/** @throws CriuError AGENT_OP */
	answer(): ProgramResult {
		const { view } = this.room.area;
		const failed = view.getUint32(this.slotAt + CrSlot.offsets.failed, true);
		if (failed !== 0xffffffff) {
			const op = this.question.program.ops[failed];
			if (op === undefined) throw new BugError(`a thread reports a failure of operation ${failed}`);
			throwFailedOp(op, view.getBigInt64(this.slotAt + CrSlot.offsets.error, true));
		}
		return readResults(this.room.area, this.question.program, this.programAt);
	}
}

/** Waits until all have run their programs. @throws CriuError TASK_GONE, STOP_TIMEOUT */
function awaitDone({ area, ctl }: ProgramRoom, led: readonly LedThread[]): void {
	const at = ctl + CrCtl.offsets.done;
	const words = new Int32Array(area.bytes.buffer, at, 1);
	const deadline = performance.now() + STEP_TIMEOUT_MS;
	for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
		const done = Atomics.load(words, 0);
		if (done === led.length) return;
		futexWait(area.address + at, done, wait);
		if (Atomics.load(words, 0) === led.length) return;
		for (const one of led) one.attend(wait === LONGEST_WAIT_MS);
		if (performance.now() > deadline)
			throw new CriuError(
				"STOP_TIMEOUT",
				`threads beside task ${led[0]?.tid} don't come to an end with what they were asked`,
				{
					remedy: "try again when the machine is less busy",
				},
			);
	}
}

/**
 * Lets threads run their programs in the agent's area, all at the same time; see countLed. All are back where they were afterwards.
 *
 * @throws CriuError AGENT_OP, TASK_GONE, STOP_TIMEOUT; KernelError
 */
export function leadThreads(agent: InjectedAgent, questions: readonly LedQuestion[]): ProgramResult[] {
	const { room } = agent.programs;
	const { view } = room.area;
	const { entryThread, entryThread32 } = readBlobHeader(agentBlob());
	const entry = room.address + BigInt(AREA_BLOB + (agent.facts.gadgets.isIa32 ? entryThread32 : entryThread));
	const led: LedThread[] = [];
	let inOrder: LedThread[] = [];
	let failure: { error: unknown } | undefined;
	const stacks = align16(room.at + questions.length * CrSlot.size);
	let at = stacks + questions.length * STACK;
	try {
		for (const [i, question] of questions.entries()) {
			const slotAt = room.at + i * CrSlot.size;
			led.push(new LedThread(agent, room, question, slotAt, at, stacks + (i + 1) * STACK));
			at += align16(sizeProgram(question.program));
		}
		view.setUint32(room.ctl + CrCtl.offsets.done, 0, true);
		view.setBigUint64(room.ctl + CrCtl.offsets.slots, BigInt(room.at), true);
		view.setUint32(room.ctl + CrCtl.offsets.nr_slots, led.length, true);
		// From the highest place down, and back from the lowest up: should we die while one has its signals but is on its
		// chain, their frames come below that, where nobody else's chain may be in use then.
		inOrder = [...led];
		led.sort((a, b) => (a.place > b.place ? -1 : 1));
		for (const one of led) one.arm();
		for (const one of led) one.enter(entry);
		awaitDone(room, led);
		interruptAll(
			Int32Array.from(led, ({ tid }) => tid),
			performance.now() + STEP_TIMEOUT_MS,
		);
		for (const one of led) one.hasStopped();
		for (const _ of led) faultPoint("thread:stopped");
	} catch (error) {
		failure = { error };
	}
	led.sort((a, b) => (a.place < b.place ? -1 : 1));
	for (const one of led) {
		try {
			one.restore();
		} catch (error) {
			failure ??= { error };
		}
	}
	view.setUint32(room.ctl + CrCtl.offsets.nr_slots, 0, true);
	if (failure !== undefined) throw failure.error;
	return inOrder.map((one) => one.answer());
}
