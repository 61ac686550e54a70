// SPDX-License-Identifier: GPL-2.0-only
// Waiting for descriptors. Source: poll(2).

import { KernelError } from "../errors.ts";
import { errnoNumber } from "../kernel/abi/errno.ts";
import { SYS_poll } from "../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "./host.ts";

const EINTR = errnoNumber("EINTR");

/**
 * Waits until one of the descriptors is ready for its events, or is closed by its other side; what is true of each. Nothing is
 * true of any after the time, or when a signal came. A time below 0 has no end.
 *
 * @throws KernelError
 */
export function pollFds(list: readonly { fd: number; events: number }[], timeoutMs: number): number[] {
	const block = new Int32Array(list.length * 2);
	for (const [index, { fd, events }] of list.entries()) block.set([fd, events], index * 2);
	const ret = syscall(SYS_poll, block, list.length, timeoutMs);
	if (ret === -EINTR) return list.map(() => 0);
	if (ret < 0) throw new KernelError("poll", -ret, `of ${list.length} descriptors`);
	// Results are the upper halves of the second words.
	return list.map((_one, index) => (block[index * 2 + 1] ?? 0) >>> 16);
}
