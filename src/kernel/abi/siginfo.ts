// SPDX-License-Identifier: GPL-2.0-only
// siginfo_t: 128 bytes whose middle is a union chosen by si_signo and si_code.
// Source: asm-generic/siginfo.h, sigaction(2).

import { defineStruct, type StructValue, viewOf } from "./struct.ts";

/** All views of the union at once; which of them counts is said by si_signo and si_code. sizeof is 128. */
export const Siginfo = defineStruct("siginfo", 128, {
	si_signo: ["i32", 0],
	si_errno: ["i32", 4],
	si_code: ["i32", 8],
	si_pid: ["i32", 16],
	si_uid: ["u32", 20],
	si_tid: ["i32", 16],
	si_overrun: ["i32", 20],
	si_value: ["u64", 24],
	si_status: ["i32", 24],
	si_utime: ["i64", 32],
	si_stime: ["i64", 40],
	si_addr: ["u64", 16],
	si_addr_lsb: ["i16", 24],
	si_band: ["i64", 16],
	si_fd: ["i32", 24],
	si_call_addr: ["u64", 16],
	si_syscall: ["i32", 24],
	si_arch: ["u32", 28],
});
export type Siginfo = StructValue<typeof Siginfo>;

export const SIGINFO_SIZE = Siginfo.size;

/** What every siginfo has. */
export interface SiginfoHead {
	signo: number;
	errno: number;
	code: number;
}

/** The head of a siginfo at `at`. @throws RangeError when fewer than 128 bytes are left. */
export function parseSiginfoHead(bytes: Uint8Array, at = 0): SiginfoHead {
	if (!(at >= 0 && at + Siginfo.size <= bytes.length))
		throw new RangeError(`siginfo needs ${Siginfo.size} bytes at ${at}, the array has ${bytes.length}`);
	const view = viewOf(bytes);
	const { si_signo, si_errno, si_code } = Siginfo.offsets;
	return {
		signo: view.getInt32(at + si_signo, true),
		errno: view.getInt32(at + si_errno, true),
		code: view.getInt32(at + si_code, true),
	};
}
