// SPDX-License-Identifier: GPL-2.0-only
// Signals that a parent gets of its children while the tree is built, and that weren't waiting when it was dumped.

import type { Program } from "../agent/program.ts";
import { parseSiginfoHead } from "../kernel/abi/siginfo.ts";
import { SYS_rt_sigtimedwait } from "../kernel/abi/syscalls.x86_64.ts";
import type { TaskImage } from "../kinds/kind.ts";

/** Takes a signal that waits. */
export function forgetSignal(program: Program, signal: number, what: string): void {
	const mask = new Uint8Array(BigUint64Array.of(1n << BigInt(signal - 1)).buffer);
	program.syscall(what, SYS_rt_sigtimedwait, [mask, 0, new Uint8Array(16), 8], { check: { okOr: "EAGAIN" } });
}

/** True when a task is to have that signal waiting, for all of it. */
export function hasPending({ core }: TaskImage, signal: number): boolean {
	return (core.tc?.signalsS?.signals ?? []).some(({ siginfo }) => parseSiginfoHead(siginfo).signo === signal);
}
