// SPDX-License-Identifier: GPL-2.0-only
// Thread-local segments (set_thread_area): three slots of the table of segments, which 32-bit threads libraries use. 64-bit programs
// may have some, too. And the table of a program's own (modify_ldt). Source: set_thread_area(2), modify_ldt(2), arch/x86/kernel/tls.c. Images: core-PID.img, thread_info_x86.tls.

import type { Program } from "../../agent/program.ts";
import { UnsupportedError } from "../../errors.ts";
import { type user_desc_t, user_desc_tSchema } from "../../images/gen/core_pb.ts";
import { create } from "../../images/index.ts";
import { SYS_modify_ldt } from "../../kernel/abi/syscalls.x86_64.ts";
import type { UserDesc } from "../../kernel/abi/user-regs.x86_64.ts";
import { getThreadArea } from "../../sys/ptrace.ts";
import type { Completion, DumpedTask, ThreadImage, ThreadPlan } from "../kind.ts";
import { corruptCore } from "./image-checks.ts";

/** Source: arch/x86/include/asm/segment.h. */
const FIRST_SLOT = 12;
const SLOTS = 3;
const RPL = 3n;
/** read_exec_only and seg_not_present alone: what the kernel says of an empty slot. */
const EMPTY_FLAGS = 0x28;
const READ_LDT = 0;
const LIMIT_MAX = 1 << 20;

/** Selectors of the slots. */
export const TLS_SELECTORS: readonly bigint[] = Array.from(
	{ length: SLOTS },
	(_, i) => BigInt((FIRST_SLOT + i) << 3) | RPL,
);

const EMPTY: Omit<UserDesc, "entry_number"> = { base_addr: 0, limit: 0, flags: EMPTY_FLAGS };

/** False once a kernel has shown that it has no such segments. */
let hasSegments = true;

/**
 * Looks for a table of segments of the program's own, which isn't kept. What registers name of it was refused before the task was
 * touched (findCodeBlockers); the rest neither /proc nor ptrace shows, only the call in the task itself.
 *
 * @throws UnsupportedError LDT, by the completion
 */
export function askForLdt({ pid }: DumpedTask, ask: Program): Completion {
	const found = ask.syscall("look for a table of segments", SYS_modify_ldt, [READ_LDT, ask.out(8), 8], {
		check: "any",
	});
	return (answers) => {
		// Kernels without modify_ldt(2) have no such tables, and nothing comes of an empty one.
		if (answers.result(found) > 0n)
			throw new UnsupportedError("LDT", `pid ${pid} has segments of its own (modify_ldt), which aren't kept`, {
				remedy: "run it without old 16-bit code, or with a C library that doesn't need them",
			});
	};
}

/** The slots of a stopped thread, as images have them. */
export function dumpTls(tid: number): user_desc_t[] {
	return Array.from({ length: SLOTS }, (_, i) => {
		const slot = FIRST_SLOT + i;
		const found = hasSegments ? getThreadArea(tid, slot) : undefined;
		if (found === undefined) hasSegments = false;
		const { base_addr, limit, flags } = found ?? EMPTY;
		return create(user_desc_tSchema, {
			entryNumber: slot,
			baseAddr: base_addr,
			limit,
			seg32bit: (flags & 1) !== 0,
			contentsH: (flags & 4) !== 0,
			contentsL: (flags & 2) !== 0,
			readExecOnly: (flags & 8) !== 0,
			limitInPages: (flags & 16) !== 0,
			segNotPresent: (flags & 32) !== 0,
			usable: (flags & 64) !== 0,
		});
	});
}

function encodeFlags(entry: user_desc_t): number {
	const bits = [
		entry.seg32bit,
		entry.contentsL,
		entry.contentsH,
		entry.readExecOnly,
		entry.limitInPages,
		entry.segNotPresent,
		entry.usable,
	];
	return bits.reduce((flags, bit, i) => (bit ? flags | (1 << i) : flags), 0);
}

const isEmpty = ({ baseAddr, limit, segNotPresent }: user_desc_t) => segNotPresent && baseAddr === 0 && limit === 0;

/** Base of the segment that a selector names; 0 for the flat one. */
export function segmentBase(tls: readonly user_desc_t[], selector: bigint): bigint {
	const index = TLS_SELECTORS.indexOf(selector);
	const entry = index < 0 ? undefined : tls.find(({ entryNumber }) => entryNumber === FIRST_SLOT + index);
	return entry === undefined || entry.segNotPresent ? 0n : BigInt(entry.baseAddr >>> 0);
}

/** Has the segments set before the last registers, which may name them. @throws ImageError */
export function planTls(image: ThreadImage, tls: readonly user_desc_t[], plan: ThreadPlan): void {
	plan.final.segments = tls
		.filter((entry) => !isEmpty(entry))
		.map((entry) => {
			const { entryNumber, baseAddr, limit } = entry;
			const where = `thread_info.tls[${entryNumber}]`;
			if (entryNumber < FIRST_SLOT || entryNumber >= FIRST_SLOT + SLOTS)
				throw corruptCore(image, `${where} is no slot`);
			if (limit >>> 0 >= LIMIT_MAX) throw corruptCore(image, `${where}.limit is ${limit >>> 0}`);
			return { entry_number: entryNumber, base_addr: baseAddr >>> 0, limit, flags: encodeFlags(entry) };
		});
}
