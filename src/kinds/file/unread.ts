// SPDX-License-Identifier: GPL-2.0-only
// Events that wait in the queue of an inotify or fanotify instance. Source: inotify(7), ioctl_fionread(2).

import { FIONREAD } from "../../kernel/abi/ioctl.ts";
import { SYS_ioctl } from "../../kernel/abi/syscalls.x86_64.ts";
import { syscall } from "../../sys/host.ts";

/**
 * Bytes of events that nobody has read, by a descriptor of ours, 0 where there can be none: the kernel shows events only to who takes
 * them, and takes none back.
 */
export function countUnread(fd: number): number {
	const waiting = new Int32Array(1);
	return syscall(SYS_ioctl, fd, FIONREAD, waiting) < 0 ? 0 : (waiting[0] ?? 0);
}
