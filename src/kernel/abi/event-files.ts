// SPDX-License-Identifier: GPL-2.0-only
// Files that deliver events: epoll, eventfd, signalfd, timerfd, inotify, fanotify, pidfd.
// Source: linux/eventpoll.h, linux/inotify.h, linux/fanotify.h, linux/eventfd.h, linux/timerfd.h, linux/pidfd.h.

import { defineStruct, type StructValue } from "./struct.ts";

// epoll
// poll(2)
export const POLLIN = 0x1;
export const POLLOUT = 0x4;
export const POLLERR = 0x8;
export const POLLHUP = 0x10;

export const EPOLLIN = 0x1;
export const EPOLL_CTL_ADD = 0x1;
export const EPOLLPRI = 0x2;
export const EPOLL_CTL_DEL = 0x2;
export const EPOLL_CTL_MOD = 0x3;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLNVAL = 0x20;
export const EPOLLRDNORM = 0x40;
export const EPOLLRDBAND = 0x80;
export const EPOLLWRNORM = 0x100;
export const EPOLLWRBAND = 0x200;
export const EPOLLMSG = 0x400;
export const EPOLLRDHUP = 0x2000;
export const EPOLL_CLOEXEC = 0x80000;
export const EPOLL_URING_WAKE = 0x8000000;
export const EPOLLEXCLUSIVE = 0x10000000;
export const EPOLLWAKEUP = 0x20000000;
export const EPOLLONESHOT = 0x40000000;
export const EPOLLET = 0x80000000;

// eventfd, signalfd, timerfd, pidfd
export const EFD_SEMAPHORE = 0x1;
export const TFD_TIMER_ABSTIME = 0x1;
export const TFD_TIMER_CANCEL_ON_SET = 0x2;
export const PIDFD_THREAD = 0x80;
export const EFD_NONBLOCK = 0x800;
export const PIDFD_NONBLOCK = 0x800;
export const SFD_NONBLOCK = 0x800;
export const TFD_NONBLOCK = 0x800;
export const EFD_CLOEXEC = 0x80000;
export const SFD_CLOEXEC = 0x80000;
export const TFD_CLOEXEC = 0x80000;

// inotify
export const IN_ACCESS = 0x1;
export const IN_MODIFY = 0x2;
export const IN_ATTRIB = 0x4;
export const IN_CLOSE_WRITE = 0x8;
export const IN_CLOSE_NOWRITE = 0x10;
export const IN_CLOSE = 0x18;
export const IN_OPEN = 0x20;
export const IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80;
export const IN_MOVE = 0xc0;
export const IN_CREATE = 0x100;
export const IN_DELETE = 0x200;
export const IN_DELETE_SELF = 0x400;
export const IN_MOVE_SELF = 0x800;
export const IN_NONBLOCK = 0x800;
export const IN_ALL_EVENTS = 0xfff;
export const IN_UNMOUNT = 0x2000;
export const IN_Q_OVERFLOW = 0x4000;
export const IN_IGNORED = 0x8000;
export const IN_CLOEXEC = 0x80000;
export const IN_ONLYDIR = 0x1000000;
export const IN_DONT_FOLLOW = 0x2000000;
export const IN_EXCL_UNLINK = 0x4000000;
export const IN_MASK_CREATE = 0x10000000;
export const IN_MASK_ADD = 0x20000000;
export const IN_ISDIR = 0x40000000;
export const IN_ONESHOT = 0x80000000;

// fanotify
export const FAN_CLASS_NOTIF = 0x0;
export const FAN_MARK_INODE = 0x0;
export const FAN_ACCESS = 0x1;
export const FAN_ALLOW = 0x1;
export const FAN_CLOEXEC = 0x1;
export const FAN_MARK_ADD = 0x1;
export const FAN_DENY = 0x2;
export const FAN_MARK_REMOVE = 0x2;
export const FAN_MODIFY = 0x2;
export const FAN_NONBLOCK = 0x2;
export const FAN_ATTRIB = 0x4;
export const FAN_CLASS_CONTENT = 0x4;
export const FAN_MARK_DONT_FOLLOW = 0x4;
export const FAN_CLASS_PRE_CONTENT = 0x8;
export const FAN_CLOSE_WRITE = 0x8;
export const FAN_MARK_ONLYDIR = 0x8;
export const FAN_AUDIT = 0x10;
export const FAN_CLOSE_NOWRITE = 0x10;
export const FAN_MARK_MOUNT = 0x10;
export const FAN_UNLIMITED_QUEUE = 0x10;
export const FAN_CLOSE = 0x18;
export const FAN_MARK_IGNORED_MASK = 0x20;
export const FAN_OPEN = 0x20;
export const FAN_UNLIMITED_MARKS = 0x20;
export const FAN_ENABLE_AUDIT = 0x40;
export const FAN_MARK_IGNORED_SURV_MODIFY = 0x40;
export const FAN_MOVED_FROM = 0x40;
export const FAN_MARK_FLUSH = 0x80;
export const FAN_MOVED_TO = 0x80;
export const FAN_REPORT_PIDFD = 0x80;
export const FAN_MOVE = 0xc0;
export const FAN_CREATE = 0x100;
export const FAN_MARK_FILESYSTEM = 0x100;
export const FAN_REPORT_TID = 0x100;
export const FAN_DELETE = 0x200;
export const FAN_MARK_EVICTABLE = 0x200;
export const FAN_REPORT_FID = 0x200;
export const FAN_DELETE_SELF = 0x400;
export const FAN_MARK_IGNORE = 0x400;
export const FAN_REPORT_DIR_FID = 0x400;
export const FAN_MARK_IGNORE_SURV = 0x440;
export const FAN_MOVE_SELF = 0x800;
export const FAN_REPORT_NAME = 0x800;
export const FAN_REPORT_DFID_NAME = 0xc00;
export const FAN_OPEN_EXEC = 0x1000;
export const FAN_REPORT_TARGET_FID = 0x1000;
export const FAN_REPORT_DFID_NAME_TARGET = 0x1e00;
export const FAN_Q_OVERFLOW = 0x4000;
export const FAN_FS_ERROR = 0x8000;
export const FAN_OPEN_PERM = 0x10000;
export const FAN_ACCESS_PERM = 0x20000;
export const FAN_OPEN_EXEC_PERM = 0x40000;
export const FAN_PRE_ACCESS = 0x100000;
export const FAN_EVENT_ON_CHILD = 0x8000000;
export const FAN_RENAME = 0x10000000;
export const FAN_ONDIR = 0x40000000;

/** An event of epoll_ctl(2) and epoll_wait(2): packed on x86_64. */
export const EpollEvent = defineStruct("epoll_event", 12, {
	events: ["u32", 0],
	data: ["u64", 4],
});
export type EpollEvent = StructValue<typeof EpollEvent>;

/** Head of an inotify event; `len` bytes of name follow. */
export const InotifyEvent = defineStruct("inotify_event", 16, {
	wd: ["i32", 0],
	mask: ["u32", 4],
	cookie: ["u32", 8],
	len: ["u32", 12],
});
export type InotifyEvent = StructValue<typeof InotifyEvent>;

/** Head of name_to_handle_at(2); `handle_bytes` bytes follow. */
export const FileHandle = defineStruct("file_handle", 8, {
	handle_bytes: ["u32", 0],
	handle_type: ["i32", 4],
});
export type FileHandle = StructValue<typeof FileHandle>;

/** Longest handle that the kernel takes. */
export const MAX_HANDLE_SZ = 128;

/** A whole file_handle with its bytes behind. */
export function encodeFileHandle(type: number, bytes: Uint8Array): Uint8Array {
	const out = new Uint8Array(FileHandle.size + bytes.length);
	out.set(FileHandle.encode({ handle_bytes: bytes.length, handle_type: type }));
	out.set(bytes, FileHandle.size);
	return out;
}
