// SPDX-License-Identifier: GPL-2.0-only
// What is done through a userfaultfd that waits for missing pages. Source: userfaultfd(2), ioctl_userfaultfd(2).

import { KernelError } from "../../errors.ts";
import { errnoNumber } from "../../kernel/abi/errno.ts";
import * as io from "../../kernel/abi/ioctl.ts";
import { SYS_ioctl, SYS_read } from "../../kernel/abi/syscalls.x86_64.ts";
import * as uf from "../../kernel/abi/userfaultfd.ts";
import { syscall } from "../../sys/host.ts";

const PAGE = 4096n;
const EAGAIN = errnoNumber("EAGAIN");
const EINTR = errnoNumber("EINTR");
const EVENTS =
	uf.UFFD_FEATURE_EVENT_FORK | uf.UFFD_FEATURE_EVENT_REMAP | uf.UFFD_FEATURE_EVENT_REMOVE | uf.UFFD_FEATURE_EVENT_UNMAP;
const MESSAGES = 256;

/** What the kernel reads and writes. They live for ever: what only the kernel points to must not be collected meanwhile. */
const words = new BigUint64Array(5);
const signed = new BigInt64Array(words.buffer);
const messages = new Uint8Array(MESSAGES * uf.UffdMsg.size);
const messagesView = new DataView(messages.buffer);

/** Makes a fresh userfaultfd one that tells of forks, moves and removals, too. @throws KernelError EINVAL where the kernel can't */
export function enableEvents(uffd: number): void {
	words.set([uf.UFFD_API, EVENTS, 0n]);
	const ret = syscall(SYS_ioctl, uffd, io.UFFDIO_API, words);
	if (ret < 0) throw new KernelError("ioctl", -ret, "UFFDIO_API");
}

/** From here on missing pages of that memory are waited for. @throws KernelError */
export function registerMissing(uffd: number, start: bigint, end: bigint): void {
	words.set([start, end - start, uf.UFFDIO_REGISTER_MODE_MISSING, 0n]);
	const ret = syscall(SYS_ioctl, uffd, io.UFFDIO_REGISTER, words);
	if (ret < 0) throw new KernelError("ioctl", -ret, `UFFDIO_REGISTER of 0x${start.toString(16)}`);
}

/** What came of putting pages in place: bytes that are there now, and 0 or the error that it ended with. */
export interface Placed {
	readonly bytes: bigint;
	readonly errno: number;
}

function placed(ret: number, done: bigint, wanted: bigint): Placed {
	if (ret === 0) return { bytes: wanted, errno: 0 };
	// An incomplete copy is told as EAGAIN, with what was done.
	return { bytes: done > 0n && done <= wanted ? done : 0n, errno: -ret };
}

/** Puts pages that lie in our memory at `from` in place, and wakes who waits for them. */
export function copyPages(uffd: number, to: bigint, from: bigint, bytes: bigint): Placed {
	words.set([to, from, bytes, 0n, 0n]);
	const ret = syscall(SYS_ioctl, uffd, io.UFFDIO_COPY, words);
	return placed(ret, signed[4] ?? 0n, bytes);
}

/** Puts a page of zeros in place. */
export function zeroPage(uffd: number, address: bigint): Placed {
	words.set([address, PAGE, 0n, 0n]);
	const ret = syscall(SYS_ioctl, uffd, io.UFFDIO_ZEROPAGE, words);
	return placed(ret, signed[3] ?? 0n, PAGE);
}

/** Lets those look again who wait for pages of a range. */
export function wakeRange(uffd: number, start: bigint, end: bigint): void {
	words.set([start, end - start]);
	syscall(SYS_ioctl, uffd, io.UFFDIO_WAKE, words);
}

/** All messages that are there, at most so many at once. @throws KernelError */
export function readMessages(uffd: number): uf.UffdMsg[] {
	const ret = syscall(SYS_read, uffd, messages, messages.length);
	if (ret === -EAGAIN || ret === -EINTR) return [];
	if (ret < 0) throw new KernelError("read", -ret, "of a userfaultfd");
	const list: uf.UffdMsg[] = [];
	for (let at = 0; at + uf.UffdMsg.size <= ret; at += uf.UffdMsg.size) list.push(uf.UffdMsg.read(messagesView, at));
	return list;
}
