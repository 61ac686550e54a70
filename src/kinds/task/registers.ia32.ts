// SPDX-License-Identifier: GPL-2.0-only
// What is particular about the registers of 32-bit tasks: their form in the images, the segments that they may have, and which tasks
// are 32-bit ones at all. Source: arch/x86/include/asm/segment.h. Images: core-PID.img, thread_info_x86, mode COMPAT.

import { looksLikeIa32 } from "../../agent/gadgets.ts";
import { askIa32Process } from "../../agent/ia32-process.ts";
import { getReg, REG, REGS_SIZE, type Registers } from "../../agent/registers.x86_64.ts";
import { type CriuError, UnsupportedError } from "../../errors.ts";
import {
	type thread_info_x86,
	type user_x86_regs_entry,
	user_x86_regs_entrySchema,
	user_x86_regs_mode,
} from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { USER_CS, USER_DS, USER32_CS } from "../../kernel/abi/user-regs.x86_64.ts";
import { closeFd, openAt, readAt } from "../../sys/file.ts";
import type { CoreImage, DumpedTask, ThreadImage } from "../kind.ts";
import { corruptCore } from "./image-checks.ts";
import { segmentBase, TLS_SELECTORS } from "./tls-segments.ts";

const NO_SYSCALL = (1n << 64n) - 1n;
const SEGMENTS = ["ds", "es", "fs", "gs"] as const;
/** The bit of a selector that means a segment of the program's own table (modify_ldt). */
const LDT_BIT = 4n;
/** A null selector may have any of the lowest two bits. */
const NULL_SELECTORS = [0n, 1n, 2n, 3n];

const ELF_MAGIC = 0x7f454c46;
const ELFCLASS32 = 1;
const EM_X86_64 = 62;

/** Registers that 32-bit code has, named alike in the message and in REG. */
const PLAIN = ["bp", "bx", "ax", "cx", "dx", "si", "di", "ip", "sp"] as const;

/** Class and machine of a program's file, as a word each; undefined when it can't be read. */
function readProgramSort(pid: number): { is32: boolean; isX86: boolean } | undefined {
	try {
		const fd = openAt(`/proc/${pid}/exe`, 0);
		try {
			const head = readAt(fd, 20, 0n);
			const view = new DataView(head.buffer, head.byteOffset, head.length);
			if (head.length < 20 || view.getUint32(0) !== ELF_MAGIC) return undefined;
			return { is32: head[4] === ELFCLASS32, isX86: view.getUint16(18, true) === EM_X86_64 };
		} finally {
			closeFd(fd);
		}
	} catch {
		return undefined;
	}
}

/** Why a task can't be dumped for the sort of its code. */
export function findCodeBlockers(task: DumpedTask): CriuError[] {
	const { pid, threads, vmas } = task;
	const refuse = (message: string, remedy: string) => [
		new UnsupportedError("COMPAT_TASK", `pid ${pid} ${message}`, { remedy }),
	];
	const selectors = new Set(threads.map(({ stopped }) => getReg(stopped.regs, REG.cs) & 0xffffn));
	for (const { stopped } of threads)
		for (const name of SEGMENTS) if ((getReg(stopped.regs, REG[name]) & LDT_BIT) !== 0n) selectors.add(LDT_BIT);
	if ([...selectors].some((selector) => ![USER_CS, USER32_CS].includes(Number(selector))))
		return refuse(
			"uses segments of its own (modify_ldt), which aren't kept",
			"run it without old 16-bit code, or with a C library that doesn't need them",
		);
	if (selectors.size > 1)
		return refuse(
			"runs 64-bit and 32-bit code at a time, in different threads",
			"dump it when all of its threads are in 64-bit code",
		);
	if (!selectors.has(BigInt(USER32_CS))) {
		// Nearly always there's a stack above 4 GiB, and nothing has to be read.
		const sort = looksLikeIa32(vmas) ? readProgramSort(pid) : undefined;
		if (sort?.is32 !== true) return [];
		return sort.isX86
			? refuse("is a program for the x32 ABI", "run a 64-bit build of it")
			: refuse("is a 32-bit program that has switched to 64-bit code", "dump it when it's in 32-bit code");
	}
	if (!looksLikeIa32(vmas))
		return refuse(
			"is a 64-bit program that is in 32-bit code just now",
			"try again: it can be dumped when all of its threads are in 64-bit code",
		);
	if (threads.some(({ status }) => (status.seccomp ?? 0) !== 0))
		return refuse(
			"is a 32-bit program under seccomp: its filter could forbid the calls that lead back from criu's agent",
			"start it without a seccomp filter, or run a 64-bit build of it",
		);
	return [];
}

/** Registers as the images of 32-bit tasks have them. */
export function encodeRegs32(regs: Registers): thread_info_x86["gpregs"] {
	const word = (index: number) => BigInt.asUintN(32, getReg(regs, index));
	return create(user_x86_regs_entrySchema, {
		r15: 0n,
		r14: 0n,
		r13: 0n,
		r12: 0n,
		r11: 0n,
		r10: 0n,
		r9: 0n,
		r8: 0n,
		...Object.fromEntries(PLAIN.map((name) => [name, word(REG[name])])),
		origAx: word(REG.orig_ax),
		cs: word(REG.cs),
		flags: word(REG.flags),
		ss: word(REG.ss),
		fsBase: 0n,
		gsBase: 0n,
		ds: word(REG.ds),
		es: word(REG.es),
		fs: word(REG.fs),
		gs: word(REG.gs),
		mode: user_x86_regs_mode.COMPAT,
	});
}

/** True for the registers of a 32-bit task. @throws ImageError when they are of no known sort */
export function isCompat(image: CoreImage, gpregs: user_x86_regs_entry): boolean {
	if (!Object.hasOwn(gpregs, "mode") || gpregs.mode === user_x86_regs_mode.NATIVE) return false;
	if (gpregs.mode === user_x86_regs_mode.COMPAT) return true;
	throw corruptCore(image, `thread_info.gpregs.mode is ${gpregs.mode}`);
}

/** True for the images of a 32-bit task. */
export function isCompatTask(image: CoreImage): boolean {
	const gpregs = image.core.threadInfo?.gpregs;
	return gpregs !== undefined && isCompat(image, gpregs);
}

/** The registers that ptrace sets last, but for flags. @throws ImageError */
export function decodeRegs32(image: ThreadImage, info: thread_info_x86, gpregs: user_x86_regs_entry): Registers {
	const regs: Registers = new BigUint64Array(REGS_SIZE / 8);
	for (const name of PLAIN) regs[REG[name]] = BigInt.asUintN(32, gpregs[name]);
	regs[REG.orig_ax] = NO_SYSCALL;
	regs[REG.cs] = BigInt(USER32_CS);
	regs[REG.ss] = BigInt(USER_DS);
	for (const name of SEGMENTS) {
		const selector = gpregs[name];
		if (![...NULL_SELECTORS, BigInt(USER_DS), ...TLS_SELECTORS].includes(selector))
			throw corruptCore(image, `thread_info.gpregs.${name} is 0x${selector.toString(16)}`);
		regs[REG[name]] = selector;
	}
	// Where the CPU lets programs set bases by themselves, the kernel keeps them beside the selectors.
	regs[REG.fs_base] = segmentBase(info.tls, gpregs.fs);
	regs[REG.gs_base] = segmentBase(info.tls, gpregs.gs);
	return regs;
}

/** Makes sure that this kernel runs 32-bit code. @throws UnsupportedError NO_IA32 */
export function checkIa32(tid: number): true {
	if (askIa32Process(() => true) === true) return true;
	throw new UnsupportedError("NO_IA32", `task ${tid} is a 32-bit one, which this kernel doesn't run`, {
		remedy: "restore on a kernel with CONFIG_IA32_EMULATION that isn't switched off (ia32_emulation=1)",
	});
}
