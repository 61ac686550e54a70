/* SPDX-License-Identifier: GPL-2.0-only */
/* Whoever looks behind the first message of a queue has to move a mark that belongs to the socket, the program's too
 * (SO_PEEK_OFF). A child that shares memory and descriptors with us, but not our end, puts the mark back when we are killed
 * just then. Source: socket(7). */
#define _GNU_SOURCE
#include "apart.h"
#include "host.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>

static void watch(void *arg, const void *unused)
{
	const struct cr_looks *looks = arg;
	struct pollfd end = { .fd = looks->pidfd, .events = POLLIN };
	(void)unused;
	while (cr_syscall(SYS_poll, (int64_t)&end, 1, -1, 0, 0, 0) != 1)
		;
	if (looks->fd >= 0)
		cr_syscall(SYS_setsockopt, looks->fd, SOL_SOCKET, SO_PEEK_OFF, (int64_t)&looks->before,
			   sizeof(looks->before), 0);
}

/* Gives the child's pid; the caller ends it, and waits for that, before it lets go of the memory. */
int64_t cr_guard_looks(struct cr_looks *looks)
{
	uint64_t all = ~0ull, old;
	struct clone_args args = {
		/* No exit signal: nobody else's wait(2) is to find it. */
		.flags = CLONE_VM | CLONE_FILES | CLONE_CLEAR_SIGHAND,
		.stack = looks->stack,
		.stack_size = looks->stack_size,
	};
	cr_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&all, (int64_t)&old, 8, 0, 0);
	int64_t pid = run_apart(&args, watch, looks, NULL);
	cr_leave_group(pid);
	cr_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&old, 0, 8, 0, 0);
	return pid;
}
