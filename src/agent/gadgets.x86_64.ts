// SPDX-License-Identifier: GPL-2.0-only
// Instructions that a target has anyway and that the bootstrap call and the cure chain run on. Nothing is ever written
// into a target's code.

import { findVmaAt, type VmaFacts } from "../kernel/procfs/maps.ts";
import { readMemory } from "../sys/process.ts";
import { FREE_REGISTERS, findCall, findLoader } from "./code-paths.x86_64.ts";

const PROT_READ = 1;
const PROT_EXEC = 4;
const CHUNK = 256 * 1024;
/** No pattern is longer; chunks overlap by that much. */
const OVERLAP = 64;

const SYSCALL_RET = Buffer.from([0x0f, 0x05, 0xc3]);
const MOV_RAX_15_SYSCALL = Buffer.from([0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05]);
const MOV_EAX_15_SYSCALL = Buffer.from([0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05]);
const POP_RAX_RET = Buffer.from([0x58, 0xc3]);

/** How the `ret` behind a system call comes to rt_sigreturn. */
export interface WayOut {
	/** Where it returns to; undefined: the code behind the call runs into a second call by itself. */
	readonly at: bigint | undefined;
	/** Words of the stack that the code there takes. All of them are 15. */
	readonly words: number;
	/** It makes the call itself, or returns to one that does. */
	readonly ends: "syscall" | "ret";
	/** The 15 comes out of a register that calls leave alone. */
	readonly fromRegister: boolean;
}

/** Where the needed instructions are. */
export interface Gadgets {
	/** They are 32-bit code: `int $0x80` in place of `syscall`, words of 32 bits. */
	readonly isIa32: boolean;
	/** `syscall`, and a way from there to a `ret`. */
	syscallRet: bigint;
	/** Words of the stack that this way takes. */
	callWords: number;
	wayOut: WayOut;
	/** The bytes found, to see later whether they are still there. */
	proof: ReadonlyArray<{ at: bigint; bytes: Uint8Array }>;
}

/** `mov $15, %eax; syscall` at an address: rt_sigreturn. */
export const restorerAt = (at: bigint): WayOut => ({ at, words: 0, ends: "syscall", fromRegister: false });

/** `pop %rax; ret` at an address. */
export const popRaxAt = (at: bigint): WayOut => ({ at, words: 1, ends: "ret", fromRegister: false });

const FIFTEEN = 15n;

/** What has to lie on the stack at a call, so that its end is rt_sigreturn with rsp behind the last of these words. */
export function returnWords({ syscallRet, callWords, wayOut }: Gadgets): bigint[] {
	const fill = (count: number) => new Array<bigint>(count).fill(FIFTEEN);
	const { at, words, ends } = wayOut;
	if (at === undefined) return fill(callWords);
	return [...fill(callWords), at, ...fill(words), ...(ends === "ret" ? [syscallRet] : [])];
}

/** Bytes of such a word. */
export const wordSize = ({ isIa32 }: Gadgets): number => (isIa32 ? 4 : 8);

/** Registers that a call has to be made with besides its own. */
export function returnRegisters({
	wayOut,
}: Gadgets): Partial<Record<"bx" | "bp" | "r12" | "r13" | "r14" | "r15", bigint>> {
	if (!wayOut.fromRegister) return {};
	return { bx: FIFTEEN, bp: FIFTEEN, r12: FIFTEEN, r13: FIFTEEN, r14: FIFTEEN, r15: FIFTEEN };
}

const PROOF_LENGTH = 9;

/** The C library has all that is needed. Source: names of glibc's and musl's files. */
const C_LIBRARY = /\/(?:libc|ld-musl-)[^/]*$/;
const latin1 = new TextDecoder("latin1");

/** How late code is looked through: C libraries first, then private mappings of files, whose text is the same for everybody. */
function rankOf({ ino, shared, name }: VmaFacts): number {
	if (ino === 0n || shared) return 2;
	return C_LIBRARY.test(latin1.decode(name)) ? 0 : 1;
}

/** Code that can be looked through, in that order. Small mappings come before large ones: a browser's own code takes tenths of a second. */
export function orderCandidates(vmas: readonly VmaFacts[]): VmaFacts[] {
	return vmas
		.filter((vma) => (vma.prot & (PROT_READ | PROT_EXEC)) === (PROT_READ | PROT_EXEC) && vma.end < 1n << 47n)
		.map((vma) => ({ vma, rank: rankOf(vma), size: Number(vma.end - vma.start) }))
		.sort((a, b) => a.rank - b.rank || a.size - b.size)
		.map(({ vma }) => vma);
}

/** True while the same bytes are executable at the same places. */
export function holdsGadgets(pid: number, vmas: readonly VmaFacts[], gadgets: Gadgets): boolean {
	return gadgets.proof.every(({ at, bytes }) => {
		const vma = findVmaAt(vmas, at);
		if (vma === undefined || at + BigInt(bytes.length) > vma.end || (vma.prot & PROT_EXEC) === 0) return false;
		return Buffer.compare(readMemory(pid, at, bytes.length), bytes) === 0;
	});
}

interface Place {
	readonly at: bigint;
	/** Bytes that matter there. */
	readonly length: number;
}

interface CallPlace extends Place {
	readonly words: number;
	/** Registers that are 15 behind it when they were before. */
	readonly fifteens: number;
	readonly runsOn: boolean;
}

/** What has been found so far. */
interface Findings {
	call?: CallPlace;
	wayOut?: Place & { way: WayOut };
	popRax?: bigint | undefined;
}

function lookAt(bytes: Buffer, base: bigint, found: Findings): void {
	const find = (pattern: Buffer) => {
		const index = bytes.indexOf(pattern);
		return index < 0 ? undefined : base + BigInt(index);
	};
	if (found.call === undefined) {
		const at = find(SYSCALL_RET);
		if (at !== undefined)
			found.call = { at, length: SYSCALL_RET.length, words: 0, fifteens: FREE_REGISTERS, runsOn: false };
	}
	if (found.wayOut === undefined) {
		const at = find(MOV_RAX_15_SYSCALL) ?? find(MOV_EAX_15_SYSCALL);
		if (at !== undefined) found.wayOut = { at, length: PROOF_LENGTH, way: restorerAt(at) };
	}
	found.popRax ??= find(POP_RAX_RET);
}

/** A call with a longer way to its `ret`, or to a second call that is rt_sigreturn. */
function findFarCall(pid: number, vmas: readonly VmaFacts[]): CallPlace | undefined {
	let best: CallPlace | undefined;
	for (const { bytes, at } of readCode(pid, vmas)) {
		const call = findCall(bytes);
		if (call === undefined) continue;
		const { length, words, ends, fifteens } = call.path;
		const place = { at: at + BigInt(call.at), length: 2 + length, words, fifteens, runsOn: ends === "syscall" };
		if (!place.runsOn) return place;
		best ??= place;
	}
	return best;
}

/** A way out by code that was never meant as one. */
function findOddWayOut(pid: number, vmas: readonly VmaFacts[], call: CallPlace): Findings["wayOut"] {
	if (call.runsOn)
		return { at: call.at, length: 2, way: { at: undefined, words: 0, ends: "syscall", fromRegister: true } };
	for (const { bytes, at: base } of readCode(pid, vmas)) {
		const loader = findLoader(bytes, call.fifteens);
		if (loader === undefined) continue;
		const { length, words, ends } = loader.path;
		const at = base + BigInt(loader.at);
		return { at, length, way: { at, words, ends, fromRegister: true } };
	}
	return undefined;
}

/** Code of a task, piece by piece, where it's most likely first. */
export function* readCode(pid: number, vmas: readonly VmaFacts[]): Generator<{ bytes: Buffer; at: bigint }> {
	for (const vma of orderCandidates(vmas)) {
		for (let at = vma.start; at < vma.end; at += BigInt(CHUNK - OVERLAP)) {
			const length = Number(vma.end - at < BigInt(CHUNK) ? vma.end - at : BigInt(CHUNK));
			let bytes: Buffer;
			try {
				bytes = Buffer.from(readMemory(pid, at, length).buffer);
			} catch {
				break; // A mapping beyond its file's end can't be read; others will do.
			}
			yield { bytes, at };
		}
	}
}

/** Finds the instructions in the executable mappings of a task of 64-bit code; undefined when it has no way to leave a signal frame. */
export function findGadgets64(pid: number, vmas: readonly VmaFacts[]): Gadgets | undefined {
	const found: Findings = {};
	for (const { bytes, at } of readCode(pid, vmas)) {
		lookAt(bytes, at, found);
		if (found.call !== undefined && found.wayOut !== undefined) break;
	}
	const call = found.call ?? findFarCall(pid, vmas);
	if (call === undefined) return undefined;
	const { popRax } = found;
	const pop = popRax === undefined ? undefined : { at: popRax, length: POP_RAX_RET.length, way: popRaxAt(popRax) };
	const way = (call.runsOn ? undefined : (found.wayOut ?? pop)) ?? findOddWayOut(pid, vmas, call);
	if (way === undefined) return undefined;
	const proof = [call, way].map(({ at, length }) => ({ at, bytes: readMemory(pid, at, length) }));
	return { isIa32: false, syscallRet: call.at, callWords: call.words, wayOut: way.way, proof };
}
