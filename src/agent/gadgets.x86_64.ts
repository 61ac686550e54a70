// SPDX-License-Identifier: GPL-2.0-only
// Instructions that a target has anyway and that the bootstrap call and the cure chain run on. Nothing is ever written
// into a target's code.

import type { VmaFacts } from "../kernel/procfs/maps.ts";
import { readMemory } from "../sys/process.ts";

const PROT_READ = 1;
const PROT_EXEC = 4;
const CHUNK = 256 * 1024;
/** No pattern is longer; chunks overlap by that much. */
const OVERLAP = 16;

const SYSCALL_RET = Buffer.from([0x0f, 0x05, 0xc3]);
const MOV_RAX_15_SYSCALL = Buffer.from([0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05]);
const MOV_EAX_15_SYSCALL = Buffer.from([0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05]);
const POP_RAX_RET = Buffer.from([0x58, 0xc3]);

/** Where the needed instructions are. Either `restorer` or `popRax` is there. */
export interface Gadgets {
	/** `syscall; ret` */
	syscallRet: bigint;
	/** `mov $15, %eax; syscall`: rt_sigreturn. */
	restorer: bigint | undefined;
	/** `pop %rax; ret`: stands in for a restorer. */
	popRax: bigint | undefined;
	/** The bytes found, to see later whether they are still there. */
	proof: ReadonlyArray<{ at: bigint; bytes: Uint8Array }>;
}

const PROOF_LENGTH = 9;

/** `syscall`, then only `xor reg, reg` of scratch registers, then `ret`, as the vdso of Linux 6.18 has. */
function findSyscallXorRet(bytes: Buffer): number {
	for (let at = bytes.indexOf("\x0f\x05", 0, "latin1"); at >= 0; at = bytes.indexOf("\x0f\x05", at + 1, "latin1")) {
		let next = at + 2;
		while (next < bytes.length - 3 && next < at + 40) {
			if (bytes[next] === 0xc3) return at;
			const rex = bytes[next] === 0x45 ? 1 : 0;
			const modrm = bytes[next + rex + 1] ?? 0;
			const isSelfXor = bytes[next + rex] === 0x31 && modrm >= 0xc0 && (modrm & 7) === ((modrm >> 3) & 7);
			if (!isSelfXor || (rex === 0 && ((modrm & 7) === 4 || (modrm & 7) === 0))) break;
			next += rex + 2;
		}
	}
	return -1;
}

/** The vdso first (a page or two), then private file mappings: their text is the same for everybody. */
function orderCandidates(vmas: readonly VmaFacts[]): VmaFacts[] {
	const rank = (vma: VmaFacts) => (vma.ino !== 0n && !vma.shared ? 0 : 1);
	return vmas
		.filter((vma) => (vma.prot & (PROT_READ | PROT_EXEC)) === (PROT_READ | PROT_EXEC) && vma.end < 1n << 47n)
		.sort((a, b) => rank(a) - rank(b));
}

/** True while the same bytes are executable at the same places. */
export function holdsGadgets(pid: number, vmas: readonly VmaFacts[], gadgets: Gadgets): boolean {
	return gadgets.proof.every(({ at, bytes }) => {
		const vma = vmas.find((v) => at >= v.start && at + BigInt(bytes.length) <= v.end);
		if (vma === undefined || (vma.prot & PROT_EXEC) === 0) return false;
		return Buffer.compare(readMemory(pid, at, bytes.length), bytes) === 0;
	});
}

function withProof(pid: number, found: Omit<Gadgets, "proof">): Gadgets {
	const places = [found.syscallRet, found.restorer ?? found.popRax].filter((at) => at !== undefined);
	return { ...found, proof: places.map((at) => ({ at, bytes: readMemory(pid, at, PROOF_LENGTH) })) };
}

/** Finds the instructions in the executable mappings of a task; undefined when it has no way to leave a signal frame. */
export function findGadgets(pid: number, vmas: readonly VmaFacts[]): Gadgets | undefined {
	let syscallRet: bigint | undefined;
	let restorer: bigint | undefined;
	let popRax: bigint | undefined;
	let syscallXorRet: bigint | undefined;
	for (const vma of orderCandidates(vmas)) {
		for (let at = vma.start; at < vma.end; at += BigInt(CHUNK - OVERLAP)) {
			const length = Number(vma.end - at < BigInt(CHUNK) ? vma.end - at : BigInt(CHUNK));
			let bytes: Buffer;
			try {
				bytes = Buffer.from(readMemory(pid, at, length).buffer);
			} catch {
				break; // A mapping beyond its file's end can't be read; others will do.
			}
			const find = (pattern: Buffer) => {
				const index = bytes.indexOf(pattern);
				return index < 0 ? undefined : at + BigInt(index);
			};
			syscallRet ??= find(SYSCALL_RET);
			restorer ??= find(MOV_RAX_15_SYSCALL) ?? find(MOV_EAX_15_SYSCALL);
			popRax ??= find(POP_RAX_RET);
			if (syscallRet !== undefined && restorer !== undefined) return withProof(pid, { syscallRet, restorer, popRax });
			if (syscallRet === undefined && syscallXorRet === undefined) {
				const index = findSyscallXorRet(bytes);
				if (index >= 0) syscallXorRet = at + BigInt(index);
			}
		}
	}
	syscallRet ??= syscallXorRet;
	if (syscallRet === undefined || (restorer === undefined && popRax === undefined)) return undefined;
	return withProof(pid, { syscallRet, restorer, popRax });
}
