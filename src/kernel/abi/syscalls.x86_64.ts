// SPDX-License-Identifier: GPL-2.0-only
// System calls of x86_64: the numbers (SYS_*) and their names.

import * as numbers from "./syscall-numbers.x86_64.ts";

export * from "./syscall-numbers.x86_64.ts";

let names: Map<number, string> | undefined;

/** The name of a system call number, as `openat`; `syscall_<nr>` when x86_64 has none with that number. */
export function syscallName(nr: number): string {
	names ??= new Map(Object.entries(numbers).map(([name, value]) => [value, name.slice("SYS_".length)]));
	return names.get(nr) ?? `syscall_${nr}`;
}
