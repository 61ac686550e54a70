// SPDX-License-Identifier: GPL-2.0-only
// The cure chain: two signal frames in dead stack of a target. Whatever happens to us, the target runs munmap of the
// area and then rt_sigreturn to its original context.
//
//   address        ┌──────────────────────────────┐
//   below F1       │ words for longer ways        │  see returnWords
//   F1             │ pretcode │ ucontext: munmap  │  rsp of the bootstrap call points here
//   F2             │ pretcode │ ucontext: original│
//   FX (64-aligned)│ XSAVE image of the task      │
//                  └──────────────────────────────┘

import { type Gadgets, returnRegisters, returnWords, wordSize } from "./gadgets.x86_64.ts";
import { getReg, REG, type Registers, withRegs } from "./registers.x86_64.ts";
import { frameFeatures } from "./xsave.x86_64.ts";

const FP_XSTATE_MAGIC1 = 0x46505853;
const FP_XSTATE_MAGIC2 = 0x46505845;
const FX_SW_OFFSET = 464;
const UC_FLAGS = 7n; // UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
export const SS_FLAGS_INVALID = 0x7ff; // refused by the kernel, so the alternate stack stays as it is
const UC = 8;
const SIGCONTEXT = UC + 40;
const SIGMASK = SIGCONTEXT + 256;
/** Of a frame of 64-bit code. */
export const FRAME_SIZE = SIGMASK + 8;
export const ALL_SIGNALS = (1n << 64n) - 1n;
const SYS_munmap = 11n;

/** Order of registers in `struct sigcontext_64`. */
const CONTEXT_ORDER = [
	"r8",
	"r9",
	"r10",
	"r11",
	"r12",
	"r13",
	"r14",
	"r15",
	"di",
	"si",
	"bp",
	"bx",
	"dx",
	"ax",
	"cx",
	"sp",
	"ip",
	"flags",
] as const;

export interface Chain {
	/** Where the bytes go, and the bytes. */
	address: bigint;
	bytes: Uint8Array;
	/** rsp for the bootstrap call: its `ret` enters the first frame. */
	entrySp: bigint;
	/** rsp at which rt_sigreturn itself runs the first frame. */
	sigreturnSp: bigint;
	/** rsp for a munmap of ours: its `ret` enters the last frame. */
	lastSp: bigint;
	/** rsp at which rt_sigreturn itself runs the last frame. */
	lastSigreturnSp: bigint;
	/** Where the last frame keeps rax and rip, as words of 64 bits. */
	frameRax: bigint;
	frameRip: bigint;
	/** What is written there for the thread to go on right where it was stopped. */
	stoppedRip: bigint;
}

export interface ChainRequest {
	gadgets: Gadgets;
	/** Registers to come back to, with an interrupted system call already rewound. */
	resume: Registers;
	/** Where it was stopped, the call not rewound. */
	stoppedIp: bigint;
	sigmask: bigint;
	xstate: Uint8Array;
	area: bigint;
	areaLength: number;
	/** Go back without munmap, because the task wouldn't survive that call: the area stays. */
	keepArea?: boolean;
	/** Only the last frame: the thread has no area to take away. */
	isShort?: boolean;
}

/** What lies below a frame so that a `ret` at its entry ends in rt_sigreturn with rsp behind pretcode. */
function prefixSize(gadgets: Gadgets): number {
	return Math.max(0, 8 * (returnWords(gadgets).length - 1));
}

function align(value: number, to: number): number {
	return Math.ceil(value / to) * to;
}

function layoutChain(request: ChainRequest): { first: number; last: number; fx: number; size: number; fxSize: number } {
	const prefix = prefixSize(request.gadgets);
	const first = prefix;
	const last = request.isShort === true ? prefix : align(first + FRAME_SIZE, 16) + prefix;
	const fx = align(last + FRAME_SIZE, 64);
	const fxSize = frameFeatures(request.xstate).size;
	return { first, last, fx, fxSize, size: align(fx + fxSize + 4, 64) };
}

/** Bytes that a chain of 64-bit code takes, a multiple of 64. */
export function chainSize64(request: ChainRequest): number {
	return layoutChain(request).size;
}

/** Writes a frame's content, its registers and what comes with them, at its place. */
type ContentWriter = (view: DataView, at: number, regs: Registers, sigmask: bigint, fpstate: bigint) => void;

/** The words below a frame, its return address among them, and its content, as code of that sort takes it. */
export function writeFrame(
	write: ContentWriter,
	view: DataView,
	at: number,
	gadgets: Gadgets,
	...content: [regs: Registers, sigmask: bigint, fpstate: bigint]
): void {
	const words = returnWords(gadgets);
	const size = wordSize(gadgets);
	for (const [i, word] of words.entries()) {
		const place = at + size * (i + 1 - words.length);
		if (size === 4) view.setUint32(place, Number(BigInt.asUintN(32, word)), true);
		else view.setBigUint64(place, word, true);
	}
	write(view, at, ...content);
}

/** The content of a frame, as rt_sigreturn of 64-bit code takes it, whatever code it leads to. */
export function writeContext(view: DataView, at: number, regs: Registers, sigmask: bigint, fpstate: bigint): void {
	view.setBigUint64(at + UC, UC_FLAGS, true);
	view.setInt32(at + UC + 24, SS_FLAGS_INVALID, true);
	for (const [i, name] of CONTEXT_ORDER.entries())
		view.setBigUint64(at + SIGCONTEXT + 8 * i, getReg(regs, REG[name]), true);
	view.setUint16(at + SIGCONTEXT + 144, Number(getReg(regs, REG.cs) & 0xffffn), true);
	view.setUint16(at + SIGCONTEXT + 150, Number(getReg(regs, REG.ss) & 0xffffn), true);
	view.setBigUint64(at + SIGCONTEXT + 184, fpstate, true);
	view.setBigUint64(at + SIGMASK, sigmask, true);
}

/** The XSAVE image as a signal frame wants it: with the software bytes and the closing magic. `before`: bytes of it that lie below. */
export function writeXstate(bytes: Uint8Array, at: number, xstate: Uint8Array, before = 0): void {
	const { features, size } = frameFeatures(xstate);
	bytes.set(xstate.subarray(0, size), at);
	const view = new DataView(bytes.buffer);
	bytes.fill(0, at + FX_SW_OFFSET, at + 512);
	view.setUint32(at + FX_SW_OFFSET, FP_XSTATE_MAGIC1, true);
	view.setUint32(at + FX_SW_OFFSET + 4, before + size + 4, true);
	view.setBigUint64(at + FX_SW_OFFSET + 8, features, true);
	view.setUint32(at + FX_SW_OFFSET + 16, size, true);
	view.setUint32(at + size, FP_XSTATE_MAGIC2, true);
}

/** Builds the chain of a thread of 64-bit code to lie at `address` (64-byte aligned). Pure. */
export function buildChain64(request: ChainRequest, address: bigint): Chain {
	const { gadgets } = request;
	const { first, last, fx, size } = layoutChain(request);
	const bytes = new Uint8Array(size);
	const view = new DataView(bytes.buffer);
	// A `ret` takes the last of the words below the frame's content, and leaves rsp where rt_sigreturn wants it.
	const below = BigInt(8 * returnWords(gadgets).length);
	const lastSp = address + BigInt(last) + 8n - below;
	const lastSigreturnSp = address + BigInt(last) + 8n;
	const fpstate = address + BigInt(fx);
	const straight = request.keepArea === true || request.isShort === true;
	if (!straight) {
		const leave = withRegs(request.resume, {
			...returnRegisters(gadgets),
			ip: gadgets.syscallRet,
			ax: SYS_munmap,
			di: request.area,
			si: BigInt(request.areaLength),
			sp: lastSp,
			flags: getReg(request.resume, REG.flags) & ~0x40500n, // TF, DF, AC
		});
		writeFrame(writeContext, view, first, gadgets, leave, ALL_SIGNALS, fpstate);
	}
	writeFrame(writeContext, view, last, gadgets, request.resume, request.sigmask, fpstate);
	writeXstate(bytes, fx, request.xstate);
	const contextOf = (name: (typeof CONTEXT_ORDER)[number]) =>
		address + BigInt(last + SIGCONTEXT + 8 * CONTEXT_ORDER.indexOf(name));
	return {
		address,
		bytes,
		entrySp: straight ? lastSp : address + BigInt(first) + 8n - below,
		sigreturnSp: straight ? lastSigreturnSp : address + BigInt(first) + 8n,
		lastSp,
		lastSigreturnSp,
		frameRax: contextOf("ax"),
		frameRip: contextOf("ip"),
		stoppedRip: request.stoppedIp,
	};
}
