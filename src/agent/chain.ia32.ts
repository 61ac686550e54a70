// SPDX-License-Identifier: GPL-2.0-only
// The cure chain of a thread that runs 32-bit code. Whatever the thread comes from, it ends in frames of 32-bit code, which the
// kernel takes back with segments and x87 state. The agent is 64-bit code: it leaves by a frame of its own kind, which leads to the
// call that takes the area away. Source: arch/x86/ia32/ia32_signal.c, asm/sigframe.h, uapi/asm/sigcontext.h.
//
//   address        ┌──────────────────────────────┐
//                  │ room for a led thread's entry│  see cparts/agent/x86_64/entry.S
//   below F1       │ words that the call pops     │  see returnWords
//   F1             │ pretcode │ ucontext: munmap  │  esp of the bootstrap call points below it
//   F2             │ pretcode │ ucontext: original│
//   FA             │ 64-bit ucontext: munmap      │  the agent's rt_sigreturn
//   FX (64-aligned)│ x87 header, XSAVE image      │
//                  └──────────────────────────────┘

import { Sigcontext32 } from "../kernel/abi/sigframe.x86_64.ts";
import { USER_DS, USER32_CS } from "../kernel/abi/user-regs.x86_64.ts";
import {
	ALL_SIGNALS,
	type Chain,
	type ChainRequest,
	FRAME_SIZE as FRAME_SIZE_64,
	SS_FLAGS_INVALID,
	writeContext,
	writeFrame,
	writeXstate,
} from "./chain.x86_64.ts";
import { returnWords } from "./gadgets.x86_64.ts";
import { call32 } from "./ia32-calls.ts";
import { getReg, REG, type Registers, withRegs } from "./registers.x86_64.ts";
import { frameFeatures } from "./xsave.x86_64.ts";

/** Behind pretcode, signal, two pointers and a siginfo of 128 bytes. */
const UC = 144;
const SIGCONTEXT = UC + 20;
const SIGMASK = SIGCONTEXT + Sigcontext32.size;
const FRAME_SIZE = SIGMASK + 8;
/** The x87 state in the form of FSAVE, which lies before the XSAVE image. */
const FSAVE_SIZE = 112;
/** The thread's way into the area pushes a few words. */
const ENTRY_ROOM = 80;
const WORD = 4;
const SYS_munmap = 11;

const { offsets } = Sigcontext32;
/** The registers that a frame keeps. Segments are written with the unused half behind them. */
const KEPT = [
	"gs",
	"fs",
	"es",
	"ds",
	"di",
	"si",
	"bp",
	"sp",
	"bx",
	"dx",
	"cx",
	"ax",
	"ip",
	"cs",
	"flags",
	"ss",
] as const;

const align = (value: number, to: number) => Math.ceil(value / to) * to;
const low = (value: bigint) => Number(value & 0xffffffffn);

function layOut({ gadgets, xstate, isShort }: ChainRequest) {
	const below = WORD * (returnWords(gadgets).length - 1);
	const first = align(ENTRY_ROOM + below, 16);
	const last = isShort === true ? first : align(first + FRAME_SIZE + below, 16);
	const agents = align(last + FRAME_SIZE, 16);
	const fx = align(agents + (isShort === true ? 0 : FRAME_SIZE_64) + FSAVE_SIZE, 64);
	return { below, first, last, agents, fx, size: align(fx + frameFeatures(xstate).size + 4, 64) };
}

/** Bytes that a chain of 32-bit code takes, a multiple of 64. */
export function chainSize32(request: ChainRequest): number {
	return layOut(request).size;
}

/** The content of a frame, as rt_sigreturn of 32-bit code takes it. */
function writeContext32(view: DataView, at: number, regs: Registers, sigmask: bigint, fpstate: bigint): void {
	view.setInt32(at + UC + 12, SS_FLAGS_INVALID, true);
	for (const name of KEPT) view.setUint32(at + SIGCONTEXT + offsets[name], low(getReg(regs, REG[name])), true);
	view.setUint32(at + SIGCONTEXT + offsets.fpstate, low(fpstate), true);
	view.setBigUint64(at + SIGMASK, sigmask, true);
}

/** FSAVE's form of what FXSAVE has: of each register whether it's used, words where that has halves. */
function writeFsave(bytes: Uint8Array, at: number, xstate: Uint8Array): void {
	const from = new DataView(xstate.buffer, xstate.byteOffset);
	const view = new DataView(bytes.buffer);
	const used = xstate[4] ?? 0;
	let tags = 0;
	for (let i = 0; i < 8; i++) if (((used >> i) & 1) === 0) tags |= 3 << (2 * i);
	const words = [
		0xffff0000 | from.getUint16(0, true),
		0xffff0000 | from.getUint16(2, true),
		0xffff0000 | tags,
		from.getUint32(8, true),
		(from.getUint16(6, true) << 16) | USER32_CS,
		from.getUint32(16, true),
		0xffff0000 | USER_DS,
	];
	for (const [i, word] of words.entries()) view.setUint32(at + WORD * i, word >>> 0, true);
	for (let i = 0; i < 8; i++) bytes.set(xstate.subarray(32 + 16 * i, 42 + 16 * i), at + 28 + 10 * i);
	view.setUint32(at + FSAVE_SIZE - WORD, from.getUint16(2, true), true);
}

/** Builds the chain of a thread of 32-bit code to lie at `address` (64-byte aligned, below 4 GiB). Pure. */
export function buildChain32(request: ChainRequest, address: bigint): Chain {
	const { gadgets, resume, sigmask, xstate, area, areaLength } = request;
	const isShort = request.isShort === true;
	const { below, first, last, agents, fx, size } = layOut(request);
	const bytes = new Uint8Array(size);
	const view = new DataView(bytes.buffer);
	const fpstate = address + BigInt(fx - FSAVE_SIZE);
	const lastSp = address + BigInt(last - below);
	if (!isShort) {
		const leave = withRegs(resume, {
			...call32(SYS_munmap, [area, BigInt(areaLength)]),
			ip: gadgets.syscallRet,
			sp: lastSp,
			flags: getReg(resume, REG.flags) & ~0x40500n, // TF, DF, AC
		});
		writeFrame(writeContext32, view, first, gadgets, leave, ALL_SIGNALS, fpstate);
		// Without x87 and vector state, which the last frame has.
		writeContext(view, agents, leave, ALL_SIGNALS, 0n);
	}
	writeFrame(writeContext32, view, last, gadgets, resume, sigmask, fpstate);
	writeFsave(bytes, fx - FSAVE_SIZE, xstate);
	writeXstate(bytes, fx, xstate, FSAVE_SIZE);
	const contextOf = (name: "ax" | "ip") => address + BigInt(last + SIGCONTEXT + offsets[name]);
	const lastSigreturnSp = address + BigInt(last + WORD);
	return {
		address,
		bytes,
		entrySp: isShort ? lastSp : address + BigInt(first - below),
		sigreturnSp: isShort ? lastSigreturnSp : address + BigInt(agents + 8),
		lastSp,
		lastSigreturnSp,
		// Behind each lies something that 64 bits may write over: what isn't restored, and the code segment.
		frameRax: contextOf("ax"),
		frameRip: contextOf("ip"),
		stoppedRip: BigInt.asUintN(32, request.stoppedIp) | (BigInt(USER32_CS) << 32n),
	};
}
