// SPDX-License-Identifier: GPL-2.0-only
// Reads short stretches of machine code that touch nothing but registers and the stack pointer, to know what they do with
// both until they return or make a system call. Programs without a C library have no ready way to leave a signal frame; some
// such stretch is nearly always there. What isn't understood for sure is refused: nothing is guessed.
// Source: AMD64 Architecture Programmer's Manual, volume 3.

/** What a register holds at the end: what it held at the start, a word of the stack, a constant, or something else. */
type Value =
	| { from: "register"; index: number }
	| { from: "stack"; word: number }
	| { from: "constant"; value: bigint };
type Registers = (Value | undefined)[];

/** A stretch of code from one address to its end. */
export interface CodePath {
	/** Bytes up to and with the last instruction. */
	readonly length: number;
	readonly ends: "ret" | "syscall";
	/** 8-byte words that it takes from the stack; the `ret` itself takes one more. */
	readonly words: number;
	/** Registers that end as 15, one bit each, if all of those words, and those of FREE_REGISTERS at the start, are 15. */
	readonly fifteens: number;
	/** The register whose start rax ends as; undefined when rax comes from elsewhere. */
	readonly source: number | undefined;
}

const RAX = 0;
const RSP = 4;
/** rbx, rbp, r12 to r15, one bit each: no system call takes an argument in them or changes them. */
export const FREE_REGISTERS = 0xf028;
const WANTED = 15n;
const MAX_WORDS = 128;
const MAX_INSTRUCTIONS = 24;

interface State {
	readonly registers: Registers;
	words: number;
}

function startState(): State {
	return { registers: Array.from({ length: 16 }, (_, index) => ({ from: "register", index })), words: 0 };
}

function isFifteen(value: Value | undefined): boolean {
	if (value === undefined) return false;
	if (value.from === "stack") return true;
	return value.from === "constant" ? value.value === WANTED : ((FREE_REGISTERS >> value.index) & 1) === 1;
}

function endOf(state: State, length: number, ends: CodePath["ends"]): CodePath {
	const { registers, words } = state;
	const rax = registers[RAX];
	return {
		length,
		ends,
		words,
		fifteens: registers.reduce((mask, value, index) => mask | (isFifteen(value) ? 1 << index : 0), 0),
		source: rax?.from === "register" ? rax.index : undefined,
	};
}

/** Whether rax ends as 15 if the registers in `fifteens` are 15 at the start. */
function loadsRax(path: CodePath, fifteens: number): boolean {
	return (path.fifteens & 1) === 1 && (path.source === undefined || ((fifteens >> path.source) & 1) === 1);
}

/** Size of what follows opcode and ModRM for an operand in memory; undefined when it isn't one that we read. */
function memoryOperandSize(code: Uint8Array, at: number): number | undefined {
	const modrm = code[at] ?? 0;
	const [mod, rm] = [modrm >> 6, modrm & 7];
	if (mod === 3) return undefined;
	const sib = rm === 4 ? 1 : 0;
	if (mod === 0 && sib === 1 && ((code[at + 1] ?? 0) & 7) === 5) return 1 + sib + 4;
	const displacement = mod === 1 ? 1 : mod === 2 || rm === 5 ? 4 : 0;
	return 1 + sib + displacement;
}

function readImmediate(code: Uint8Array, at: number, size: 1 | 4 | 8): bigint {
	const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
	if (size === 1) return BigInt(view.getInt8(at));
	return size === 4 ? BigInt(view.getInt32(at, true)) : view.getBigInt64(at, true);
}

/** Does one instruction behind its REX prefix; gives its length without that, or undefined when it isn't understood. */
function step(code: Uint8Array, at: number, rex: number, state: State): number | undefined {
	const { registers } = state;
	const opcode = code[at] ?? 0;
	const [wide, reg8, rm8] = [(rex & 8) !== 0, (rex & 4) << 1, (rex & 1) << 3];
	const set = (index: number, value: Value | undefined): boolean => {
		if (index === RSP) return false;
		registers[index] = value;
		return true;
	};
	if (opcode >= 0x58 && opcode <= 0x5f) {
		const done = set((opcode & 7) | rm8, { from: "stack", word: state.words });
		state.words++;
		return done ? 1 : undefined;
	}
	if (opcode >= 0xb8 && opcode <= 0xbf) {
		const size = wide ? 8 : 4;
		if (at + 1 + size > code.length) return undefined;
		const immediate = readImmediate(code, at + 1, size);
		const value = wide ? immediate : BigInt.asUintN(32, immediate);
		return set((opcode & 7) | rm8, { from: "constant", value }) ? 1 + size : undefined;
	}
	if (opcode >= 0x90 && opcode <= 0x97) {
		const other = (opcode & 7) | rm8;
		if (other === RSP) return undefined;
		[registers[RAX], registers[other]] = [registers[other], registers[RAX]];
		return 1;
	}
	const modrm = code[at + 1] ?? 0;
	const direct = modrm >= 0xc0;
	const [reg, rm] = [((modrm >> 3) & 7) | reg8, (modrm & 7) | rm8];
	switch (opcode) {
		case 0x89: // mov %reg, %rm
			return direct && set(rm, reg === RSP ? undefined : registers[reg]) ? 2 : undefined;
		case 0x8b: // mov %rm, %reg
			return direct && set(reg, rm === RSP ? undefined : registers[rm]) ? 2 : undefined;
		case 0x31: // xor
		case 0x33:
			return direct && set(opcode === 0x31 ? rm : reg, reg === rm ? { from: "constant", value: 0n } : undefined)
				? 2
				: undefined;
		case 0x39: // cmp, test
		case 0x3b:
		case 0x85:
			return direct ? 2 : undefined;
		case 0x01: // add, or, and, sub
		case 0x09:
		case 0x21:
		case 0x29:
			return direct && set(rm, undefined) ? 2 : undefined;
		case 0x8d: {
			// lea
			const size = memoryOperandSize(code, at + 1);
			return size !== undefined && set(reg, undefined) ? 1 + size : undefined;
		}
		case 0xc7: // mov $imm32, %rm
			if (!direct || (modrm & 0x38) !== 0 || at + 6 > code.length) return undefined;
			return set(rm, { from: "constant", value: readImmediate(code, at + 2, 4) }) ? 6 : undefined;
		case 0x81:
		case 0x83: {
			const size = opcode === 0x83 ? 1 : 4;
			if (!direct || at + 2 + size > code.length) return undefined;
			const immediate = readImmediate(code, at + 2, size);
			const operation = (modrm >> 3) & 7;
			if (operation === 7) return 2 + size; // cmp
			if (rm !== RSP) return set(rm, undefined) ? 2 + size : undefined;
			// add $immediate, %rsp
			if (operation !== 0 || !wide || immediate <= 0n || immediate % 8n !== 0n) return undefined;
			state.words += Number(immediate / 8n);
			return 2 + size;
		}
		default:
			return undefined;
	}
}

/**
 * Follows the code at `at` up to its first `ret` or `syscall`; undefined when anything before that isn't understood or could
 * touch memory. Pure.
 */
export function followCode(code: Uint8Array, at: number): CodePath | undefined {
	const state = startState();
	let next = at;
	for (let i = 0; i < MAX_INSTRUCTIONS && next < code.length; i++) {
		if (code[next] === 0xc3) return endOf(state, next + 1 - at, "ret");
		if (code[next] === 0x0f && code[next + 1] === 0x05) return endOf(state, next + 2 - at, "syscall");
		const rex = ((code[next] ?? 0) & 0xf0) === 0x40 ? (code[next] ?? 0) : 0;
		if (rex !== 0) next++;
		const length = step(code, next, rex, state);
		if (length === undefined || state.words > MAX_WORDS) return undefined;
		next += length;
	}
	return undefined;
}

/** How far before a `ret` or `syscall` a stretch is looked for. */
const MAX_BACK = 24;

/**
 * A stretch that makes rax 15 and then returns or makes a system call; undefined when there's none. `fifteens`: registers that
 * are 15 before it. Pure.
 */
export function findLoader(code: Uint8Array, fifteens: number): { at: number; path: CodePath } | undefined {
	for (let end = 1; end < code.length; end++) {
		const isEnd = code[end] === 0xc3 || (code[end - 1] === 0x0f && code[end] === 0x05);
		if (!isEnd) continue;
		for (let at = end - 1; at >= Math.max(0, end - MAX_BACK); at--) {
			const path = followCode(code, at);
			if (path !== undefined && loadsRax(path, fifteens) && at + path.length === end + 1) return { at, path };
		}
	}
	return undefined;
}

/** A `syscall` from which a stretch leads on to a `ret`, or right to a second system call with rax as 15. Pure. */
export function findCall(code: Uint8Array): { at: number; path: CodePath } | undefined {
	let through: { at: number; path: CodePath } | undefined;
	for (let at = 0; at + 2 < code.length; at++) {
		if (code[at] !== 0x0f || code[at + 1] !== 0x05) continue;
		const path = followCode(code, at + 2);
		if (path?.ends === "ret") return { at, path };
		if (path !== undefined && loadsRax(path, FREE_REGISTERS)) through ??= { at, path };
	}
	return through;
}
