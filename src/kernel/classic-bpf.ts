// SPDX-License-Identifier: GPL-2.0-only
// What seccomp filters answer to a system call: an evaluator of classic BPF as seccomp(2) allows it. Pure.
// Source: linux/filter.h, linux/bpf_common.h; Documentation/networking/filter.rst; kernel/seccomp.c.

import { SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_THREAD, SockFilter } from "./abi/seccomp.ts";
import { viewOf } from "./abi/struct.ts";

const LD = 0;
const LDX = 1;
const ST = 2;
const STX = 3;
const ALU = 4;
const JMP = 5;
const RET = 6;
const MISC = 7;

const IMM = 0x00;
const ABS = 0x20;
const MEM = 0x60;
const LEN = 0x80;
const SRC_X = 0x08;
const RET_A = 0x10;
const TXA = 0x80;

const SCRATCH_WORDS = 16;
/** `struct seccomp_data`: nr, arch, instruction pointer, six arguments. */
const DATA_SIZE = 64;

/** A system call as filters see it. */
export interface SeccompCall {
	readonly nr: number;
	/** AUDIT_ARCH_*. */
	readonly arch: number;
	/** Behind the call's instruction. */
	readonly ip: bigint;
	/** At most six; those that are missing are 0. */
	readonly args: readonly bigint[];
}

/** `struct seccomp_data` of a call. Source: linux/seccomp.h. */
export function encodeSeccompData(call: SeccompCall): DataView {
	const view = new DataView(new ArrayBuffer(DATA_SIZE));
	view.setInt32(0, call.nr, true);
	view.setUint32(4, call.arch, true);
	view.setBigUint64(8, BigInt.asUintN(64, call.ip), true);
	for (const [i, arg] of call.args.slice(0, 6).entries()) view.setBigUint64(16 + 8 * i, BigInt.asUintN(64, arg), true);
	return view;
}

/** Registers and scratch memory of a running program. */
interface Machine {
	a: number;
	x: number;
	readonly scratch: Uint32Array;
	readonly data: DataView;
}

/** A word that LD or LDX takes; undefined for an instruction that no filter may have. */
function loadWord(machine: Machine, mode: number, k: number): number | undefined {
	switch (mode) {
		case IMM:
			return k;
		case ABS:
			return k % 4 === 0 && k < DATA_SIZE ? machine.data.getUint32(k, true) : undefined;
		case MEM:
			return machine.scratch[k];
		case LEN:
			return DATA_SIZE;
		default:
			return undefined;
	}
}

/** The accumulator after an arithmetic instruction; undefined for one that doesn't exist, or that divides by 0. */
function compute(op: number, a: number, operand: number): number | undefined {
	switch (op) {
		case 0x00:
			return a + operand;
		case 0x10:
			return a - operand;
		case 0x20:
			return Math.imul(a, operand);
		case 0x30:
			return operand === 0 ? undefined : Math.floor(a / operand);
		case 0x40:
			return a | operand;
		case 0x50:
			return a & operand;
		case 0x60:
			return a << operand;
		case 0x70:
			return a >>> operand;
		case 0x80:
			return -a;
		case 0x90:
			return operand === 0 ? undefined : a % operand;
		case 0xa0:
			return a ^ operand;
		default:
			return undefined;
	}
}

/** Whether a conditional jump is taken; undefined for a condition that doesn't exist. */
function compare(op: number, a: number, operand: number): boolean | undefined {
	switch (op) {
		case 0x10:
			return a === operand;
		case 0x20:
			return a > operand;
		case 0x30:
			return a >= operand;
		case 0x40:
			return (a & operand) !== 0;
		default:
			return undefined;
	}
}

/** Executes loads, stores, arithmetic and moves. False when the program can't go on. */
function step(machine: Machine, code: number, k: number): boolean {
	switch (code & 7) {
		case LD:
		case LDX: {
			const word = (code & 0x18) === 0 ? loadWord(machine, code & 0xe0, k) : undefined;
			if (word === undefined) return false;
			if ((code & 7) === LD) machine.a = word;
			else machine.x = word;
			return true;
		}
		case ST:
		case STX:
			if (k >= SCRATCH_WORDS) return false;
			machine.scratch[k] = (code & 7) === ST ? machine.a : machine.x;
			return true;
		case ALU: {
			const result = compute(code & 0xf0, machine.a, (code & SRC_X) !== 0 ? machine.x : k);
			if (result === undefined) return false;
			machine.a = result >>> 0;
			return true;
		}
		case MISC:
			if ((code & TXA) !== 0) machine.a = machine.x;
			else machine.x = machine.a;
			return true;
		default:
			return false;
	}
}

/**
 * The value that a filter returns (u32: action and data). Ends always, as jumps lead forwards only. A program that the kernel
 * would not have taken kills.
 */
export function runFilter(filter: Uint8Array, data: DataView): number {
	const view = viewOf(filter);
	const machine: Machine = { a: 0, x: 0, scratch: new Uint32Array(SCRATCH_WORDS), data };
	for (let at = 0; at + SockFilter.size <= filter.length; at += SockFilter.size) {
		const code = view.getUint16(at, true);
		const k = view.getUint32(at + 4, true);
		const kind = code & 7;
		if (kind === RET) return (code & 0x18) === RET_A ? machine.a : k;
		if (kind !== JMP) {
			if (!step(machine, code, k)) return SECCOMP_RET_KILL_THREAD;
			continue;
		}
		if ((code & 0xf0) === 0) {
			at += k * SockFilter.size;
			continue;
		}
		const taken = compare(code & 0xf0, machine.a, (code & SRC_X) !== 0 ? machine.x : k);
		if (taken === undefined) return SECCOMP_RET_KILL_THREAD;
		at += view.getUint8(at + (taken ? 2 : 3)) * SockFilter.size;
	}
	return SECCOMP_RET_KILL_THREAD;
}

/** The action (SECCOMP_RET_*, without data) that all filters of a thread together give for a call: the strictest one. */
export function judgeCall(filters: readonly Uint8Array[], call: SeccompCall): number {
	const data = encodeSeccompData(call);
	let strictest = SECCOMP_RET_ALLOW;
	for (const filter of filters) {
		const action = (runFilter(filter, data) & SECCOMP_RET_ACTION_FULL) >>> 0;
		// Actions rank as signed numbers: the one that kills the whole process is the least of all.
		if ((action | 0) < (strictest | 0)) strictest = action;
	}
	return strictest;
}
