// SPDX-License-Identifier: GPL-2.0-only
// Programs for the agent: plain data, built by a planner, printable, encoded into the shared area just before they run.

import { errnoNumber } from "../kernel/abi/errno.ts";
import { SYS_pread64, syscallName } from "../kernel/abi/syscalls.x86_64.ts";
import {
	ARG_AREA,
	ARG_CONST,
	ARG_LOAD32,
	ARG_LOAD64,
	ARG_RESULT,
	CHECK_EQUAL,
	CHECK_NO_ERROR,
	CHECK_NO_ERROR_OR,
	CHECK_NONE,
	CrOp,
	OP_BORROW,
	OP_CLONE,
	OP_COPY,
	OP_FILL,
	OP_GIVE_BACK,
	OP_LOAD,
	OP_MERGE,
	OP_MOVE,
	OP_PLACE,
	OP_REAP,
	OP_STORE,
	OP_SYSCALL,
	OP_SYSCALL32,
	OP_WAIT,
	OP_WAKE,
} from "./layout.ts";

/** An operation of the same program, whose result later operations may use. */
export interface OpRef {
	readonly op: number;
}

/** Room in the area that an operation fills and the engine reads afterwards. */
export interface OutRef {
	readonly out: number;
	readonly length: number;
}

/** The u32 (`wide`: u64) that an earlier operation stored in an answer, such as a descriptor of pipe2. */
export interface LoadRef {
	readonly load: number;
	readonly wide?: boolean;
}

/** A constant, bytes placed in the area (passed by address), room for an answer, an earlier result or answer. */
export type Arg = number | bigint | Uint8Array | OpRef | OutRef | LoadRef;

/** Which result counts as success. */
export type Check = "ok" | "any" | { readonly equal: number | bigint } | { readonly okOr: string };

/** What the engine is doing, for error messages: "map 0x7f… from /lib/x.so". By the thousand it isn't made until it's needed. */
export type What = string | (() => string);

/** How memory is loaded past its protection: a descriptor of /proc/self/mem and a buffer of LOAD_BUFFER bytes. */
export interface LoadWay {
	readonly mem: Arg;
	readonly buffer: Arg;
}

export interface Op {
	readonly code: number;
	readonly nr: number;
	readonly args: readonly Arg[];
	readonly check: Check;
	readonly what: What;
	/** What the user can do when it fails, by errno name; "" for any. */
	readonly remedies: Readonly<Record<string, string>> | undefined;
}

export interface OpOptions {
	check?: Check;
	remedies?: Readonly<Record<string, string>>;
}

function isOpRef(arg: Arg): arg is OpRef {
	return typeof arg === "object" && "op" in arg;
}

function isOutRef(arg: Arg): arg is OutRef {
	return typeof arg === "object" && "out" in arg;
}

function isLoadRef(arg: Arg): arg is LoadRef {
	return typeof arg === "object" && "load" in arg;
}

/** The u32 at `offset` bytes of an answer, as an argument of a later operation. */
export function loadFrom(out: OutRef, offset: number): LoadRef {
	if (offset + 4 > out.length) throw new RangeError("outside of the answer");
	return { load: out.out + offset };
}

/** The same for a u64. */
export function loadWideFrom(out: OutRef, offset: number): LoadRef {
	if (offset + 8 > out.length) throw new RangeError("outside of the answer");
	return { load: out.out + offset, wide: true };
}

const NO_OPTIONS: OpOptions = {};

/** The text of an operation's purpose. */
export function whatOf({ what }: Op): string {
	return typeof what === "string" ? what : what();
}

/** A list of operations under construction. */
export class Program {
	readonly ops: Op[] = [];
	private outLength = 0;
	private dataLength = 0;

	private push(code: number, nr: number, args: readonly Arg[], what: What, options: OpOptions = NO_OPTIONS): OpRef {
		if (args.length > 6) throw new TypeError("an operation has at most six arguments");
		this.ops.push({ code, nr, args, check: options.check ?? "ok", what, remedies: options.remedies });
		for (let k = 0; k < args.length; k++) {
			const arg = args[k];
			if (arg instanceof Uint8Array) this.dataLength += align8(arg.length);
		}
		return { op: this.ops.length - 1 };
	}

	/** Any system call. */
	syscall(what: What, nr: number, args: readonly Arg[], options?: OpOptions): OpRef {
		return this.push(OP_SYSCALL, nr, args, what, options);
	}

	/** A call as 32-bit code makes it, by its number there; all of the agent's memory has to lie below 4 GiB. */
	syscall32(what: What, nr: number, args: readonly Arg[], options?: OpOptions): OpRef {
		return this.push(OP_SYSCALL32, nr, args, what, options);
	}

	/** pread64 or pwrite64 repeated until the whole length has been moved. */
	fill(what: string, nr: number, args: readonly [Arg, Arg, Arg, Arg], options?: OpOptions): OpRef {
		return this.push(OP_FILL, nr, args, what, options);
	}

	/**
	 * Reads from a file into fresh memory of the process itself. `way`: it's written through /proc/self/mem, which memory that isn't
	 * writable lets in, too.
	 */
	load(
		what: What,
		args: readonly [fd: Arg, address: Arg, bytes: Arg, offset: Arg],
		options?: OpOptions,
		way?: LoadWay,
	): OpRef {
		return this.push(OP_LOAD, SYS_pread64, way === undefined ? args : [...args, way.mem, way.buffer], what, options);
	}

	/** A call that makes a descriptor which must not stay: giveBack closes it, and so does an agent that is left alone. */
	borrow(what: string, nr: number, args: readonly Arg[], options?: OpOptions): OpRef {
		return this.push(OP_BORROW, nr, args, what, options);
	}

	giveBack(what: string): OpRef {
		return this.push(OP_GIVE_BACK, 0, [], what);
	}

	/** Gives an open descriptor the number that it's to have; `flags`: O_CLOEXEC or 0. */
	move(what: What, fd: Arg, number: number, flags = 0, options?: OpOptions): OpRef {
		return this.push(OP_MOVE, 0, [fd, number, flags], what, options);
	}

	/** The same for several numbers. */
	place(what: string, fd: Arg, numbers: readonly { number: number; flags: number }[], options?: OpOptions): OpRef {
		const pairs = Uint32Array.from(numbers.flatMap(({ number, flags }) => [number, flags]));
		return this.push(OP_PLACE, 0, [fd, new Uint8Array(pairs.buffer), numbers.length], what, options);
	}

	copy(what: string, to: Arg, from: Arg, length: number): OpRef {
		return this.push(OP_COPY, 0, [to, from, length], what, { check: "any" });
	}

	/** Copies only the pages that differ, so that pages shared copy-on-write stay shared. */
	merge(what: string, to: Arg, from: Arg, length: number): OpRef {
		return this.push(OP_MERGE, 0, [to, from, length], what, { check: "any" });
	}

	store(what: string, at: Arg, value: Arg, size: 1 | 2 | 4 | 8): OpRef {
		return this.push(OP_STORE, 0, [at, value, size], what);
	}

	/**
	 * A child or thread that serves the control block at the address `childCtl`, on the stack that clone_args name. A child
	 * dies with its maker, whose pid `maker` is; 0 for threads.
	 */
	clone(what: string, cloneArgs: Uint8Array | OutRef, childCtl: Arg, maker: number, options?: OpOptions): OpRef {
		return this.push(OP_CLONE, 0, [cloneArgs, cloneArgs.length, childCtl, maker], what, options);
	}

	wait(what: string, word: Arg, value: number): OpRef {
		return this.push(OP_WAIT, 0, [word, value], what, { check: "any" });
	}

	wake(what: string, word: Arg, value: number): OpRef {
		return this.push(OP_WAKE, 0, [word, value], what);
	}

	/** The last operation of an init: waits for children until none is left, then ends. The word becomes 1 when it begins. */
	reap(what: string): OutRef {
		const begun = this.out(4);
		this.push(OP_REAP, 0, [begun], what);
		return begun;
	}

	/** Reserves room for an answer. */
	out(length: number): OutRef {
		const at = this.outLength;
		this.outLength += (length + 7) & ~7;
		return { out: at, length };
	}

	/** Bytes that all answers take. */
	get outSize(): number {
		return this.outLength;
	}

	/** Bytes that the data among the arguments take. */
	get dataSize(): number {
		return this.dataLength;
	}

	/** Puts another program before this one; references of both stay valid. */
	insertFirst(other: Program): void {
		const rest = new Program();
		rest.append(this);
		this.ops.length = 0;
		this.outLength = 0;
		this.dataLength = 0;
		this.append(other);
		this.append(rest);
	}

	/** Appends another program; its references within itself stay valid. */
	append(other: Program): void {
		const opBase = this.ops.length;
		const outBase = this.outLength;
		for (const op of other.ops) {
			const args = op.args.map((arg) =>
				isOpRef(arg)
					? { op: arg.op + opBase }
					: isOutRef(arg)
						? { out: arg.out + outBase, length: arg.length }
						: isLoadRef(arg)
							? { ...arg, load: arg.load + outBase }
							: arg,
			);
			this.ops.push({ ...op, args });
		}
		this.outLength += other.outLength;
		this.dataLength += other.dataLength;
	}
}

/** A program as bytes for a given place in the area. */
export interface EncodedProgram {
	readonly bytes: Uint8Array;
	readonly nrOps: number;
	/** Offset of the answers within `bytes`. */
	readonly outOffset: number;
}

function align8(value: number): number {
	return (value + 7) & ~7;
}

/** How many bytes a program takes in the area. */
export function sizeProgram(program: Program): number {
	return program.ops.length * CrOp.size + program.dataSize + program.outSize;
}

const CHECK_OK = { check: CHECK_NO_ERROR, expect: 0n };

function encodeCheck(check: Check): { check: number; expect: bigint } {
	if (check === "ok") return { check: CHECK_NO_ERROR, expect: 0n };
	if (check === "any") return { check: CHECK_NONE, expect: 0n };
	if ("equal" in check) return { check: CHECK_EQUAL, expect: BigInt(check.equal) };
	return { check: CHECK_NO_ERROR_OR, expect: BigInt(errnoNumber(check.okOr)) };
}

const MASK64 = (1n << 64n) - 1n;
const TWO32 = 0x100000000;
/** Where things lie in an operation, in words of 32 bits. */
const WORD = {
	codes: CrOp.offsets.code / 4,
	nr: CrOp.offsets.nr / 4,
	kinds: CrOp.offsets.kinds / 4,
	expect: CrOp.offsets.expect / 4,
	arg: CrOp.offsets.arg / 4,
	size: CrOp.size / 4,
} as const;

/** A 64-bit number at an even word; whole numbers below 2^53 without a bigint. */
function putWord64(words: Uint32Array, at: number, value: number | bigint): void {
	if (typeof value === "bigint") {
		const bits = value & MASK64;
		words[at] = Number(bits & 0xffffffffn);
		words[at + 1] = Number(bits >> 32n);
		return;
	}
	if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no argument`);
	words[at] = value;
	words[at + 1] = Math.floor(value / TWO32);
}

/**
 * Encodes for the area offset `at`: operations, then their data, then room for answers. `room`: where, at least as large as the
 * program; large ones needn't be copied then.
 */
export function encodeProgram(program: Program, at: number, room?: Uint8Array): EncodedProgram {
	const { ops } = program;
	const opsLength = ops.length * CrOp.size;
	const size = sizeProgram(program);
	const bytes = room?.subarray(0, size).fill(0) ?? new Uint8Array(size);
	const words = new Uint32Array(bytes.buffer, bytes.byteOffset, opsLength / 4);
	const outOffset = bytes.length - program.outSize;
	let dataAt = opsLength;
	for (let index = 0; index < ops.length; index++) {
		const { code, nr, args, check: wanted } = ops[index] as Op;
		const base = index * WORD.size;
		const { check, expect } = wanted === "ok" ? CHECK_OK : encodeCheck(wanted);
		words[base + WORD.codes] = code | (check << 16);
		words[base + WORD.nr] = nr;
		if (expect !== 0n) putWord64(words, base + WORD.expect, expect);
		let kinds = 0;
		for (let k = 0; k < args.length; k++) {
			const arg = args[k] as Arg;
			let kind = ARG_CONST;
			let value: number | bigint;
			if (typeof arg === "number" || typeof arg === "bigint") value = arg;
			else if (arg instanceof Uint8Array) {
				kind = ARG_AREA;
				value = at + dataAt;
				bytes.set(arg, dataAt);
				dataAt += align8(arg.length);
			} else if ("op" in arg) {
				if (arg.op >= index) throw new RangeError("an operation may only use earlier results");
				kind = ARG_RESULT;
				value = arg.op;
			} else if ("load" in arg) {
				kind = arg.wide ? ARG_LOAD64 : ARG_LOAD32;
				value = at + outOffset + arg.load;
			} else {
				kind = ARG_AREA;
				value = at + outOffset + arg.out;
			}
			kinds |= kind << (4 * k);
			putWord64(words, base + WORD.arg + 2 * k, value);
		}
		words[base + WORD.kinds] = kinds;
	}
	return { bytes, nrOps: ops.length, outOffset };
}

function describeArg(arg: Arg): string {
	if (typeof arg === "number") return arg < 4096 ? String(arg) : `0x${arg.toString(16)}`;
	if (typeof arg === "bigint") return arg < 4096n ? String(arg) : `0x${arg.toString(16)}`;
	if (arg instanceof Uint8Array) return `<${arg.length} bytes>`;
	if (isLoadRef(arg)) return `<stored at ${arg.load}>`;
	return isOpRef(arg) ? `#${arg.op}` : `<room for ${arg.length} bytes>`;
}

const CODE_NAMES = [
	"",
	"",
	"copy",
	"merge",
	"store",
	"clone",
	"wait",
	"wake",
	"reap",
	"",
	"",
	"",
	"give back",
	"move",
	"place",
	"",
];

/** One operation as text, for --dry-run and logs. */
export function describeOp(op: Op): string {
	if (op.code === OP_SYSCALL32) return `int80 ${op.nr}(${op.args.map(describeArg).join(", ")}): ${whatOf(op)}`;
	const name = op.nr === 0 && op.code !== OP_SYSCALL ? (CODE_NAMES[op.code] ?? "?") : syscallName(op.nr);
	return `${name}(${op.args.map(describeArg).join(", ")}): ${whatOf(op)}`;
}
