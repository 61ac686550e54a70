// SPDX-License-Identifier: GPL-2.0-only
// Where cure chains may lie in a target: in bytes of its stacks that nothing uses. Should we be killed, they stay there until
// the target has gone through them, so no two of them may ever share a byte.

import { CriuError } from "../errors.ts";
import { findVmaAt, type VmaFacts } from "../kernel/procfs/maps.ts";
import { readMemory } from "../sys/process.ts";
import { getReg, REG, type Registers } from "./registers.x86_64.ts";

/** Frames of earlier, still running cures may lie in the same place: several slots are used in turn. */
const SLOTS = 8;
const SLOT_STEP = 8192n;
const RED_ZONE = 128n;
const ALIGN = 64n;
/** Distance of the slots from the ends of the main stack: Go keeps a stack of its own in the upper part. */
const LOW_MARGIN = 16384n;
const HIGH_MARGIN = 65536n;
/** What the handler of a signal may use below the chain of another thread. */
const SIGNAL_ROOM = 32768n;
/** So far from the low end a stack isn't about to grow. */
const LEAST_MARGIN = 4096n;

/** What has to be known of a target's memory. */
export interface StackFacts {
	readonly pid: number;
	readonly vmas: readonly VmaFacts[];
	/** Address of the main stack (start_stack in /proc/PID/stat). */
	readonly startStack: bigint;
}

/** Bytes that are taken, [start, end). */
interface Range {
	readonly start: bigint;
	readonly end: bigint;
}

const alignDown = (address: bigint) => address & ~(ALIGN - 1n);
const overlap = (a: Range, b: Range) => a.start < b.end && b.start < a.end;
const stepFor = (size: number) => alignDown(BigInt(size) + ALIGN - 1n);

function noRoom(pid: number): CriuError {
	return new CriuError("NO_STACK", `the main stack of pid ${pid} has no free room`, {
		remedy: "the program uses a tiny stack; such programs can't be dumped",
	});
}

function findMainStack({ pid, vmas, startStack }: StackFacts): VmaFacts {
	const stack = findVmaAt(vmas, startStack);
	if (stack === undefined || (stack.prot & 3) !== 3)
		throw new CriuError("NO_STACK", `pid ${pid} has no main stack`, {
			remedy: "the program unmapped or protected its stack; such programs can't be dumped",
		});
	return stack;
}

/** The bytes right below what a thread uses of the stack that it's on; undefined where it's on another one, or has no room. */
function placeBelow(stack: VmaFacts, regs: Registers, size: number): bigint | undefined {
	const sp = getReg(regs, REG.sp);
	const below = alignDown(sp - RED_ZONE - BigInt(size));
	return sp > stack.start && sp <= stack.end && below >= stack.start + LEAST_MARGIN ? below : undefined;
}

/**
 * A place for the chain of the thread that the agent is in: dead bytes below its stack pointer, or, when that isn't on the
 * main stack (coroutines, goroutines, alternate stacks), low in the main stack, where hardly any program ever gets.
 *
 * @throws CriuError NO_STACK
 */
export function placeChain(facts: StackFacts, regs: Registers, size: number): bigint {
	const stack = findMainStack(facts);
	const below = placeBelow(stack, regs, size);
	if (below !== undefined) return below;
	const first = stack.start + LOW_MARGIN;
	const room = stack.end - HIGH_MARGIN - BigInt(size) - first;
	if (room < 0n) throw noRoom(facts.pid);
	const slots = Math.min(SLOTS, Number(room / SLOT_STEP) + 1);
	return alignDown(first + BigInt(Math.floor(Math.random() * slots)) * SLOT_STEP);
}

/** A thread beside the one that the agent is in, with the size of its chain. */
export interface ChainUser {
	readonly tid: number;
	readonly regs: Registers;
	readonly size: number;
}

/**
 * Free places of one size low in the main stack, beside the chain of the agent's thread and far below what that thread uses:
 * should we be killed, it may run on, and write below its stack pointer, before others have gone through their chains.
 */
function listFreePlaces(stack: VmaFacts, agentRegs: Registers, taken: Range, step: bigint): bigint[] {
	const sp = getReg(agentRegs, REG.sp);
	const isOnStack = sp > stack.start && sp <= stack.end;
	const used = isOnStack && overlap(taken, stack) && taken.start < sp ? taken.start : isOnStack ? sp : stack.end;
	const limit = used - HIGH_MARGIN;
	const list = (apartFrom: Range): bigint[] => {
		const places: bigint[] = [];
		for (let start = alignDown(stack.start + LOW_MARGIN); start + step <= limit; start += step)
			if (!overlap({ start, end: start + step }, apartFrom)) places.push(start);
		return places;
	};
	const roomy = list({ start: taken.start, end: taken.end + SIGNAL_ROOM });
	return roomy.length > 0 ? roomy : list(taken);
}

/**
 * True when a thread is on a stack that a threads library made for it: its control block, which starts with its own address
 * (x86-64 psABI, thread-local storage), lies above in the same mapping. Below the stack pointer of such a one nothing lives.
 */
function isOnOwnStack({ tid, regs }: ChainUser, vma: VmaFacts): boolean {
	const block = getReg(regs, REG.fs_base);
	if (block <= getReg(regs, REG.sp) || block + 8n > vma.end) return false;
	const [self] = new BigUint64Array(readMemory(tid, block, 8).buffer);
	return self === block;
}

/**
 * Places for the chains of as many of the first threads as have room at a time, at least one; `taken` is where the agent's
 * own chain lies. All are apart from each other and from everything alive. `onMainStack`: nowhere else.
 *
 * @throws CriuError NO_STACK
 */
export function placeThreadChains(
	facts: StackFacts,
	users: readonly ChainUser[],
	agentRegs: Registers,
	taken: Range,
	onMainStack = false,
): bigint[] {
	const [first] = users;
	if (first === undefined) return [];
	const stack = findMainStack(facts);
	const step = stepFor(Math.max(...users.map(({ size }) => size)));
	const free = listFreePlaces(stack, agentRegs, taken, step);
	const turn = Math.floor(Math.random() * free.length);
	const places = [...free.slice(turn), ...free.slice(0, turn)].slice(0, users.length);
	if (places.length > 0) return places;
	if (onMainStack) throw noRoom(facts.pid);
	const own = facts.vmas.find(
		(vma) => vma !== stack && getReg(first.regs, REG.sp) - 1n >= vma.start && getReg(first.regs, REG.sp) <= vma.end,
	);
	const below = own !== undefined && isOnOwnStack(first, own) ? placeBelow(own, first.regs, first.size) : undefined;
	if (below === undefined) throw noRoom(facts.pid);
	return [below];
}
