// SPDX-License-Identifier: GPL-2.0-only
// Resource limits of our own.

import { SYS_prlimit64 } from "../kernel/abi/syscalls.x86_64.ts";
import { mustSyscall } from "./host.ts";

const RLIMIT_NOFILE = 7;

/** How many descriptors a process of ours may have now, and how many at most. */
export function getFdLimit(): { soft: number; hard: number } {
	const limit = new BigUint64Array(2);
	mustSyscall("RLIMIT_NOFILE", SYS_prlimit64, 0, RLIMIT_NOFILE, 0, limit);
	return { soft: Number(limit[0]), hard: Number(limit[1]) };
}

/** Allows ourselves, and with us what we start, as many descriptors as the hard limit permits. */
export function raiseFdLimit(): void {
	const { soft, hard } = getFdLimit();
	if (soft >= hard) return;
	mustSyscall("RLIMIT_NOFILE", SYS_prlimit64, 0, RLIMIT_NOFILE, new BigUint64Array([BigInt(hard), BigInt(hard)]), 0);
}
