// SPDX-License-Identifier: GPL-2.0-only
// Advice on mappings: given to new ones, and made the child's on those that it has from its maker. Source: madvise(2).

import type { Program } from "../../agent/program.ts";
import type { vma_entry } from "../../images/gen/mm_pb.ts";
import * as mman from "../../kernel/abi/mman.ts";
import { SYS_madvise } from "../../kernel/abi/syscalls.x86_64.ts";

const bit = (advice: number) => 1n << BigInt(advice);
/** Advice that matters for how pages are made; the rest follows once they are there. */
export const EARLY_ADVICE = bit(mman.MADV_HUGEPAGE) | bit(mman.MADV_NOHUGEPAGE);
const READ_AHEAD = bit(mman.MADV_RANDOM) | bit(mman.MADV_SEQUENTIAL);
/** Advice by what takes it back. */
const TAKEN_BACK: readonly (readonly [bits: bigint, by: number])[] = [
	[READ_AHEAD, mman.MADV_NORMAL],
	[bit(mman.MADV_MERGEABLE), mman.MADV_UNMERGEABLE],
	[bit(mman.MADV_DONTDUMP), mman.MADV_DODUMP],
];

/** True for a maker's advice that the child hasn't, and that nothing takes back. */
export function hasLastingAdvice(vma: vma_entry, maker: vma_entry): boolean {
	return (maker.madv & EARLY_ADVICE) !== 0n && (vma.madv & EARLY_ADVICE) === 0n;
}

/** Adds what takes back the advice on a maker's mapping that the child's hasn't; gives what the child's has besides. */
export function planOtherAdvice(program: Program, vma: vma_entry, maker: vma_entry): bigint {
	for (const [bits, by] of TAKEN_BACK)
		if ((maker.madv & bits) !== 0n && (vma.madv & bits) === 0n)
			program.syscall("take back its maker's advice", SYS_madvise, [vma.start, vma.end - vma.start, by]);
	return vma.madv & ~maker.madv;
}

/** Adds what gives a mapping all advice whose bits are set. */
export function planAdvice(program: Program, vma: vma_entry, bits: bigint): void {
	if (bits === 0n) return;
	for (let advice = 0; advice < 64; advice++)
		if (((bits >> BigInt(advice)) & 1n) !== 0n)
			program.syscall(
				`advise ${advice} on 0x${vma.start.toString(16)}`,
				SYS_madvise,
				[vma.start, vma.end - vma.start, advice],
				{ check: { okOr: "EINVAL" } },
			);
}
