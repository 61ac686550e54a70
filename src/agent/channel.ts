// SPDX-License-Identifier: GPL-2.0-only
// Commands to one agent and its answers, through the control block in shared memory.

import { BugError, CriuError, KernelError } from "../errors.ts";
import { faultPoint } from "../fault.ts";
import { syscallName } from "../kernel/abi/syscalls.x86_64.ts";
import type { Room } from "../sys/memory.ts";
import { futexWait, futexWake } from "../sys/process.ts";
import * as pt from "../sys/ptrace.ts";
import {
	ARG_AREA,
	ARG_CONST,
	CHECK_EQUAL,
	CHECK_NO_ERROR_OR,
	CHECK_NONE,
	CrCtl,
	CrOp,
	OP_SYSCALL,
	OP_SYSCALL32,
} from "./layout.ts";
import {
	describeOp,
	encodeProgram,
	type Op,
	type OpRef,
	type OutRef,
	type Program,
	sizeProgram,
	whatOf,
} from "./program.ts";
import { isDead, peekStop } from "./tracee.ts";

const POLL_MS = 20;
const MAX_ARGS = 6;

/** What a program gave: results of its operations and its answers. */
export interface ProgramResult {
	result(ref: OpRef): bigint;
	/** True when the operation's result is no -errno. */
	succeeded(ref: OpRef): boolean;
	out(ref: OutRef): Uint8Array;
}

/** @throws CriuError AGENT_OP, always */
export function throwFailedOp(op: Op, error: bigint): never {
	const isOther = (op.nr === 0 && op.code !== OP_SYSCALL) || op.code === OP_SYSCALL32;
	const name = isOther ? describeOp(op) : syscallName(op.nr);
	if (error < 0n && error > -4096n) {
		const cause = new KernelError(name, Number(-error));
		const remedy = op.remedies?.[cause.code] ?? op.remedies?.[""];
		throw new CriuError("AGENT_OP", `${whatOf(op)}: ${cause.message}`, {
			cause,
			...(remedy === undefined ? {} : { remedy }),
		});
	}
	throw new BugError(`${whatOf(op)}: ${name} gave ${error}`);
}

/** The room for an agent's programs. `ctl` and `at` are offsets in the area, which lies at `address` in the target. */
export interface ProgramRoom {
	readonly area: Room;
	readonly ctl: number;
	readonly at: number;
	readonly length: number;
	readonly address: bigint;
}

/** One agent's mailbox. `ctl` and `programAt` are offsets in the area. */
export class AgentChannel {
	private readonly words: Int32Array;
	private seq = 0;

	constructor(
		readonly tid: number,
		private readonly area: Room,
		private readonly ctl: number,
		private readonly programAt: number,
		private readonly programLength: number,
		/** Where the area lies in the target. */
		private readonly address: bigint,
	) {
		this.words = new Int32Array(area.bytes.buffer, ctl, CrCtl.size / 4);
	}

	/**
	 * Runs a program to its end or to its first failed operation. Blocks.
	 *
	 * @throws CriuError AGENT_OP with what the operation was for; TASK_GONE
	 */
	run(program: Program): ProgramResult {
		this.start(program);
		this.awaitEnd();
		return this.finish(program);
	}

	/** The same, but what failed is given beside the results of what came before it. @throws CriuError TASK_GONE */
	runPartly(program: Program): { results: ProgramResult; failure: { readonly error: unknown } | undefined } {
		this.start(program);
		this.awaitEnd();
		const results = readResults(this.area, program, this.programAt);
		try {
			this.checkFailed(program);
			return { results, failure: undefined };
		} catch (error) {
			return { results, failure: { error } };
		}
	}

	/** How large a program may be. */
	get capacity(): number {
		return this.programLength;
	}

	/** Where programs lie, for those who lay out some that others than the agent run. */
	get room(): ProgramRoom {
		const { area, ctl, programAt: at, programLength: length, address } = this;
		return { area, ctl, at, length, address };
	}

	/** Hands a program over without waiting; awaitEnd and finish complete it. */
	start(program: Program): void {
		this.prepare(program);
		futexWake(this.area.address + this.ctl + CrCtl.offsets.cmd_seq);
	}

	/** The same to an agent that doesn't run yet: it begins with it. */
	prepare(program: Program): void {
		const size = sizeProgram(program);
		if (size > this.programLength) throw new BugError(`a program of ${size} bytes for room of ${this.programLength}`);
		const encoded = encodeProgram(program, this.programAt, this.area.bytes.subarray(this.programAt));
		this.area.view.setBigUint64(this.ctl + CrCtl.offsets.program, BigInt(this.programAt), true);
		this.area.view.setUint32(this.ctl + CrCtl.offsets.nr_ops, encoded.nrOps, true);
		faultPoint("agent:run");
		this.seq++;
		Atomics.store(this.words, CrCtl.offsets.cmd_seq / 4, this.seq);
	}

	awaitEnd(): void {
		const ack = CrCtl.offsets.ack_seq / 4;
		const address = this.area.address + this.ctl + CrCtl.offsets.ack_seq;
		for (;;) {
			const seen = Atomics.load(this.words, ack);
			if (seen === this.seq) break;
			futexWait(address, seen, POLL_MS);
			if (Atomics.load(this.words, ack) === this.seq) break;
			this.checkAlive();
		}
		faultPoint("agent:done");
	}

	/** After start: waits until the program has set a word of its answers. @throws CriuError TASK_GONE */
	awaitWord(program: Program, word: OutRef): void {
		const at = this.programAt + sizeProgram(program) - program.outSize + word.out;
		const view = new Int32Array(this.area.bytes.buffer, this.area.bytes.byteOffset + at, 1);
		while (Atomics.load(view, 0) === 0) {
			futexWait(this.area.address + at, 0, POLL_MS);
			if (Atomics.load(view, 0) === 0) this.checkAlive();
		}
	}

	/** Lets a stopped agent go on, and notices a dead one. */
	private checkAlive(): void {
		const stop = peekStop(this.tid);
		if (stop === undefined && isDead(this.tid))
			throw new CriuError("TASK_GONE", `task ${this.tid} was ended by somebody else`, {
				remedy: "look who killed it (dmesg, the out-of-memory killer)",
			});
		if (stop?.kind === "gone")
			throw new CriuError("TASK_GONE", `task ${this.tid} was ended by somebody else (status ${stop.status})`, {
				remedy: "look who killed it (dmesg, the out-of-memory killer)",
			});
		// SIGSTOP can't be blocked: the agent's work goes on all the same, the stop takes effect after it.
		if (stop !== undefined) pt.ptrace(pt.PTRACE_CONT, this.tid, 0, stop.kind === "signal" ? stop.signal : 0);
		// An agent without futex_waitv sleeps on the lock word alone.
		futexWake(this.area.address + this.ctl + CrCtl.offsets.lock);
	}

	/** Reads results after awaitEnd. @throws CriuError AGENT_OP */
	finish(program: Program): ProgramResult {
		this.checkFailed(program);
		return readResults(this.area, program, this.programAt);
	}

	/** Like finish, where nobody wants the results. @throws CriuError AGENT_OP */
	settle(program: Program): void {
		this.checkFailed(program);
	}

	private checkFailed(program: Program): void {
		const { view } = this.area;
		const failed = view.getUint32(this.ctl + CrCtl.offsets.failed, true);
		if (failed === 0xffffffff) return;
		const op = program.ops[failed];
		if (op === undefined) throw new BugError(`the agent reports a failure of operation ${failed}`);
		throwFailedOp(op, view.getBigInt64(this.ctl + CrCtl.offsets.error, true));
	}

	/**
	 * Lays out programs of system calls that are made without the agent: as many of the first ones as have room. It must not
	 * run a program of its own meanwhile.
	 */
	layOut(programs: readonly Program[]): SteppedProgram[] {
		const laid: SteppedProgram[] = [];
		let used = 0;
		for (const program of programs) {
			const size = sizeProgram(program);
			if (used + size > this.programLength) break;
			laid.push(new SteppedProgram(program, this.area, this.programAt + used, this.address));
			used += size;
		}
		if (laid.length === 0 && programs.length > 0) throw new BugError("a program that is larger than its room");
		return laid;
	}
}

/** A program whose system calls are made one by one, by somebody else than the agent. Data and answers lie in the area. */
export class SteppedProgram {
	/** `at`: where it lies in the area, which is mapped at `address` where the calls are made. */
	constructor(
		private readonly program: Program,
		private readonly area: Room,
		private readonly at: number,
		private readonly address: bigint,
	) {
		encodeProgram(program, at, area.bytes.subarray(at));
	}

	/** How many calls it has. */
	get length(): number {
		return this.program.ops.length;
	}

	/** One of its calls. */
	callAt(index: number): { nr: number; args: readonly bigint[] } {
		const { view } = this.area;
		const { offsets } = CrOp;
		const at = this.at + index * CrOp.size;
		if (view.getUint16(at + offsets.code, true) !== OP_SYSCALL)
			throw new BugError(`operation ${index} is no system call`);
		const kinds = view.getUint32(at + offsets.kinds, true);
		const args: bigint[] = [];
		for (let k = 0; k < MAX_ARGS; k++) {
			const kind = (kinds >> (4 * k)) & 15;
			const arg = view.getBigUint64(at + offsets.arg + 8 * k, true);
			if (kind !== ARG_AREA && kind !== ARG_CONST)
				throw new BugError(`argument ${k} of operation ${index} depends on an earlier result`);
			args.push(kind === ARG_AREA ? arg + this.address : arg);
		}
		return { nr: view.getUint32(at + offsets.nr, true), args };
	}

	/** Takes the result of a call. @throws CriuError AGENT_OP */
	settle(index: number, result: bigint): void {
		const at = this.at + index * CrOp.size;
		const { view } = this.area;
		const check = view.getUint16(at + CrOp.offsets.check, true);
		const expect = view.getBigInt64(at + CrOp.offsets.expect, true);
		view.setBigInt64(at + CrOp.offsets.result, result, true);
		const op = this.program.ops[index];
		if (op !== undefined && !succeeded(check, expect, result)) throwFailedOp(op, result);
	}

	/** After its last call. */
	results(): ProgramResult {
		return readResults(this.area, this.program, this.at);
	}
}

/** Results and answers of a program that lies at `at` of the area. */
export function readResults(area: Room, program: Program, at: number): ProgramResult {
	// A copy: the area may be gone when somebody looks at the answers.
	const size = sizeProgram(program);
	const copy = area.bytes.slice(at, at + size);
	const results = new DataView(copy.buffer);
	const outAt = size - program.outSize;
	const resultOf = (ref: OpRef) => results.getBigInt64(ref.op * CrOp.size + CrOp.offsets.result, true);
	return {
		result: resultOf,
		succeeded: (ref) => {
			const value = resultOf(ref);
			return value >= 0n || value <= -4096n;
		},
		out: (ref) => copy.subarray(outAt + ref.out, outAt + ref.out + ref.length),
	};
}

/** As the agent judges it. */
function succeeded(check: number, expect: bigint, result: bigint): boolean {
	const failed = result < 0n && result > -4096n;
	if (check === CHECK_NONE) return true;
	if (check === CHECK_EQUAL) return result === expect;
	return !failed || (check === CHECK_NO_ERROR_OR && result === -expect);
}
