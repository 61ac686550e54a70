// SPDX-License-Identifier: GPL-2.0-only
// An inotify instance whose queue holds IN_Q_OVERFLOW, the kernel's word for events that were lost, and nothing else. The kernel
// puts it there when a queue is full: so it's filled with events of a file that nobody else sees, which are read again.
// Source: inotify(7), fs/notify/notification.c (fsnotify_insert_event), fs/notify/inotify/inotify_fsnotify.c (inotify_merge).

import { CriuError, KernelError } from "../../errors.ts";
import { IN_CLOEXEC, IN_MODIFY, IN_NONBLOCK, InotifyEvent } from "../../kernel/abi/event-files.ts";
import { F_SETFL, O_CLOEXEC, O_CREAT, O_RDWR } from "../../kernel/abi/fcntl.ts";
import { INOTIFY_IOC_SETNEXTWD } from "../../kernel/abi/ioctl.ts";
import { FSCONFIG_CMD_CREATE, FSMOUNT_CLOEXEC, FSOPEN_CLOEXEC } from "../../kernel/abi/mount.ts";
import * as nr from "../../kernel/abi/syscalls.x86_64.ts";
import { readSysctl } from "../../kernel/procfs/sysctl.ts";
import { closeFd, openAt, scopedFd, toCString } from "../../sys/file.ts";
import { mustSyscall, rewrite } from "../../sys/host.ts";
import { countUnread } from "./unread.ts";

/** A second's work, and 64 MiB of the kernel's memory for that time. */
const MOST_EVENTS = 1 << 20;
const CHUNK = 1 << 20;

/** A file system of its own, mounted nowhere: gone with its descriptor. */
function openPrivateFs(): number {
	using context = scopedFd(mustSyscall("of a tmpfs", nr.SYS_fsopen, toCString("tmpfs"), FSOPEN_CLOEXEC));
	mustSyscall("of a tmpfs", nr.SYS_fsconfig, context.fd, FSCONFIG_CMD_CREATE, 0, 0, 0);
	return mustSyscall("of a tmpfs", nr.SYS_fsmount, context.fd, FSMOUNT_CLOEXEC, 0);
}

/** Each change of the file is told twice, by the folder's watch and by its own, so that no event equals the one before. */
function fillQueue(fd: number, events: number): void {
	using folder = scopedFd(openPrivateFs());
	using file = scopedFd(openAt("f", O_RDWR | O_CREAT | O_CLOEXEC, 0o600, folder.fd));
	const watches = [folder, file].map((watched) => {
		const path = toCString(`/proc/self/fd/${watched.fd}`);
		return mustSyscall("of a file of ours", nr.SYS_inotify_add_watch, fd, path, IN_MODIFY);
	});
	const error = -rewrite(file.fd, Math.floor(events / watches.length) + 1);
	if (error > 0) throw new KernelError("pwrite64", error, "to a file of ours");
	// Their end is an event, too, for which there is no room.
	for (const watch of watches) mustSyscall("of a file of ours", nr.SYS_inotify_rm_watch, fd, watch);
}

/** Reads all but the last event. */
function drain(fd: number): void {
	const buffer = new Uint8Array(CHUNK);
	for (let left = countUnread(fd) - InotifyEvent.size; left > 0; )
		left -= mustSyscall("of events of ours", nr.SYS_read, fd, buffer, Math.min(left, CHUNK));
}

/**
 * Makes one, without watches; `flags`: O_NONBLOCK or 0. Its first watch gets number 1.
 *
 * @throws KernelError, CriuError when the queue is too long to be filled
 */
export function makeOverflown(flags: number): number {
	const events = readSysctl("fs/inotify/max_queued_events");
	if (events > MOST_EVENTS)
		throw new CriuError("LONG_QUEUE", `the sysctl fs.inotify.max_queued_events is ${events}`, {
			remedy: `lower it to ${MOST_EVENTS} or less for the restore`,
		});
	const fd = mustSyscall("", nr.SYS_inotify_init1, IN_NONBLOCK | IN_CLOEXEC);
	try {
		fillQueue(fd, events);
		drain(fd);
		mustSyscall("of an inotify", nr.SYS_ioctl, fd, INOTIFY_IOC_SETNEXTWD, 1);
		mustSyscall("of an inotify", nr.SYS_fcntl, fd, F_SETFL, flags);
		if (countUnread(fd) === InotifyEvent.size) return fd;
		throw new CriuError("LONG_QUEUE", "the queue of an inotify can't be filled", {});
	} catch (error) {
		closeFd(fd);
		throw error;
	}
}
