// SPDX-License-Identifier: GPL-2.0-only
// Static ELF files to be executed from memfds: the agent as a program of its own, made from its blob, and tiny programs.
//
//   page 0   ELF header, two program headers (PT_LOAD of page 1, PT_GNU_STACK)
//   page 1   the blob, its header filled in with where the shared area has to be mapped
//
// Source: elf(5).

import { AREA_BLOB, CrBlobHeader, PAGE_SIZE, readBlobHeader } from "./layout.ts";

const EHDR_SIZE = 64;
const PHDR_SIZE = 56;
const ET_EXEC = 2;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const PF_RX = 5;
const PF_RW = 6;

export interface AgentElfRequest {
	/** Page-aligned address for the ELF itself, which unmaps nothing and is unmapped by the first program. */
	loadAt: bigint;
	/** Where the shared area goes, its length, and its descriptor in the new process. */
	area: bigint;
	areaLength: number;
	areaFd: number;
	/** Offsets in the area: the first agent's control block, the end of its stack. */
	ctl: number;
	stack: number;
}

/** Builds the executable. Pure. */
export function buildAgentElf(blob: Uint8Array, request: AgentElfRequest): Uint8Array {
	const { entryLoop, entryExec } = readBlobHeader(blob);
	const bytes = new Uint8Array(PAGE_SIZE + blob.length);
	const view = new DataView(bytes.buffer);
	writeHeader(view, request.loadAt + BigInt(entryExec), 2);
	writePhdr(view, EHDR_SIZE, PT_LOAD, PF_RX, PAGE_SIZE, request.loadAt, blob.length);
	writePhdr(view, EHDR_SIZE + PHDR_SIZE, PT_GNU_STACK, PF_RW, 0, 0n, 0);
	bytes.set(blob, PAGE_SIZE);
	const at = PAGE_SIZE;
	view.setBigUint64(at + CrBlobHeader.offsets.area, request.area, true);
	view.setBigUint64(at + CrBlobHeader.offsets.area_len, BigInt(request.areaLength), true);
	view.setUint32(at + CrBlobHeader.offsets.area_fd, request.areaFd, true);
	view.setUint32(at + CrBlobHeader.offsets.ctl, request.ctl, true);
	view.setUint32(at + CrBlobHeader.offsets.loop, AREA_BLOB + entryLoop, true);
	view.setUint32(at + CrBlobHeader.offsets.stack, request.stack, true);
	return bytes;
}

/** Where small programs are loaded: anywhere will do. */
const CODE_AT = 0x400000n;

/** A program of nothing but code, which starts at its first instruction. Pure. */
export function buildCodeElf(code: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(PAGE_SIZE + code.length);
	const view = new DataView(bytes.buffer);
	writeHeader(view, CODE_AT, 1);
	writePhdr(view, EHDR_SIZE, PT_LOAD, PF_RX, PAGE_SIZE, CODE_AT, code.length);
	bytes.set(code, PAGE_SIZE);
	return bytes;
}

function writeHeader(view: DataView, entry: bigint, phdrs: number): void {
	for (const [at, byte] of [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1].entries()) view.setUint8(at, byte); // magic, 64 bit, little endian
	view.setUint16(16, ET_EXEC, true);
	view.setUint16(18, EM_X86_64, true);
	view.setUint32(20, 1, true);
	view.setBigUint64(24, entry, true);
	view.setBigUint64(32, BigInt(EHDR_SIZE), true);
	view.setUint16(52, EHDR_SIZE, true);
	view.setUint16(54, PHDR_SIZE, true);
	view.setUint16(56, phdrs, true);
}

function writePhdr(
	view: DataView,
	at: number,
	type: number,
	flags: number,
	offset: number,
	address: bigint,
	size: number,
): void {
	view.setUint32(at, type, true);
	view.setUint32(at + 4, flags, true);
	view.setBigUint64(at + 8, BigInt(offset), true);
	view.setBigUint64(at + 16, address, true);
	view.setBigUint64(at + 24, address, true);
	view.setBigUint64(at + 32, BigInt(size), true);
	view.setBigUint64(at + 40, BigInt(size), true);
	view.setBigUint64(at + 48, BigInt(PAGE_SIZE), true);
}
