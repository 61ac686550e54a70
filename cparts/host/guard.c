/* SPDX-License-Identifier: GPL-2.0-only */
/* A child that outlives us for an instant: it writes a text into a file when we're gone, whatever ended us. Without it a
 * cgroup that we had frozen would stay frozen. */
#define _GNU_SOURCE
#include "host.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void close_all_but(unsigned a, unsigned b)
{
	unsigned low = a < b ? a : b, high = a < b ? b : a;
	if (low)
		syscall(SYS_close_range, 0u, low - 1, 0);
	if (high > low + 1)
		syscall(SYS_close_range, low + 1, high - 1, 0);
	syscall(SYS_close_range, high + 1, ~0u, 0);
}

/* The end of the pipe is our end; a byte in it says that nothing is left to be done. */
static void watch(const struct cr_guard *request)
{
	struct pollfd pipe = { .fd = request->pipe_fd, .events = POLLIN };
	int timeout = request->timeout_ms;
	for (;;) {
		char byte;
		long got = poll(&pipe, 1, timeout);
		if (got > 0)
			got = read(request->pipe_fd, &byte, 1);
		else if (got == 0) {
			/* We are stuck, perhaps in a call that only this ends. */
			got = pwrite(request->state_fd, request->late, strlen(request->late), 0);
			timeout = -1;
			continue;
		}
		if (got < 0)
			continue;
		if (got == 0)
			got = pwrite(request->state_fd, request->end, strlen(request->end), 0);
		return;
	}
}

/* Gives the child's pid; the caller waits for it once it has written the byte. */
int64_t cr_guard(const struct cr_guard *request)
{
	uint64_t all = ~0ul, old;
	int64_t pid;
	cr_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&all, (int64_t)&old, 8, 0, 0);
	/* No exit signal: nobody else's wait(2) is to find it. */
	pid = cr_syscall(SYS_clone, 0, 0, 0, 0, 0, 0);
	if (pid == 0) {
		prctl(PR_SET_NAME, "criu-guard");
		close_all_but(request->pipe_fd, request->state_fd);
		watch(request);
		_exit(0);
	}
	cr_leave_group(pid);
	cr_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&old, 0, 8, 0, 0);
	return pid;
}
