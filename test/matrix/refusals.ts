// SPDX-License-Identifier: GPL-2.0-only
// Names that scenarios use after `@expect refused`, and the error code by which our criu refuses a dump of that kind.

/** Name in a scenario's header to the stable code in src/errors.ts' terms; the code has to appear in criu's output or log. */
export const refusalCodes: Readonly<Record<string, string>> = {
	EVENTFD: "UNSUPPORTED_FILE",
	EPOLL: "UNSUPPORTED_FILE",
	TIMERFD: "UNSUPPORTED_FILE",
	SIGNALFD: "UNSUPPORTED_FILE",
	INOTIFY: "UNSUPPORTED_FILE",
	SOCKET: "UNSUPPORTED_FILE",
	MEMFD: "UNSUPPORTED_FILE",
	GHOST_LIMIT: "GHOST_TOO_LARGE",
	FIFO: "UNSUPPORTED_FILE",
	PIDFD: "UNSUPPORTED_FILE",
	TTY: "UNSUPPORTED_TTY",
	IO_URING: "UNSUPPORTED_FILE",
	USERFAULTFD: "UNSUPPORTED_FILE",
	AIO: "UNSUPPORTED_MAPPING",
	SYSV_SHM: "UNSUPPORTED_MAPPING",
	FILE_LOCKS: "FILE_LOCKS",
	LINK_REMAP: "NEEDS_LINK_REMAP",
	THREADS: "UNSUPPORTED_THREADS",
	CHILDREN: "UNSUPPORTED_CHILDREN",
	SECCOMP: "UNSUPPORTED_SECCOMP",
	NOT_SESSION_LEADER: "NOT_SESSION_LEADER",
	TRACED: "TRACED",
	NO_GADGETS: "NO_GADGETS",
	PIPE_PACKETS: "PIPE_PACKETS",
};
