/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that is still missing reads as zeros once the last descriptor of its userfaultfd is closed. A child that shares
 * memory and descriptors with us, but not our end, keeps them open when we end before all pages are there: it ends the
 * processes that wait for pages, so that none goes on with wrong memory. Source: userfaultfd(2), pidfd_send_signal(2). */
#define _GNU_SOURCE
#include "apart.h"
#include "host.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

static int64_t raw(int64_t nr, int64_t a, int64_t b, int64_t c, int64_t d)
{
	return cr_syscall(nr, a, b, c, d, 0, 0);
}

static void close_others(const struct cr_lazy_fd *list, uint32_t nr)
{
	uint32_t from = 0;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t fd = (uint32_t)list[i].fd;
		if (fd > from)
			raw(SYS_close_range, from, fd - 1, 0, 0);
		from = fd + 1;
	}
	raw(SYS_close_range, from, ~0u, 0, 0);
}

/* Nothing lives in a memory when the kernel says so, whatever it's asked to do there. */
static int lives(int32_t uffd)
{
	struct uffdio_zeropage probe = { .range = { .start = 0x7fffffffe000, .len = 4096 } };
	return raw(SYS_ioctl, uffd, (int64_t)UFFDIO_ZEROPAGE, (int64_t)&probe, 0) != -ESRCH;
}

static void watch(void *arg, const void *unused)
{
	const struct cr_lazy_guard *guard = arg;
	struct pollfd end = { .fd = guard->pidfd, .events = POLLIN };
	struct timespec pause = { .tv_nsec = 20000000 };
	(void)unused;
	raw(SYS_prctl, PR_SET_NAME, (int64_t)"criu-guard", 0, 0);
	while (raw(SYS_poll, (int64_t)&end, 1, -1, 0) != 1)
		;
	const struct cr_lazy_fd *list = (const struct cr_lazy_fd *)guard->list;
	uint32_t nr = (list++)->fd;
	for (uint32_t i = 0; i < nr; i++)
		if (list[i].is_pidfd)
			raw(SYS_pidfd_send_signal, list[i].fd, SIGKILL, 0, 0);
	close_others(list, nr);
	/* Forked ones that nobody knows by their pids stand still where pages are missing, for as long as they live. */
	for (uint32_t i = 0; i < nr; i++)
		while (!list[i].is_pidfd && lives(list[i].fd))
			raw(SYS_nanosleep, (int64_t)&pause, 0, 0, 0);
}

/* Gives the child's pid; the caller ends it, and waits for that, before it lets go of the memory. */
int64_t cr_guard_lazy(struct cr_lazy_guard *guard)
{
	uint64_t all = ~0ull, old;
	struct clone_args args = {
		/* No exit signal: nobody else's wait(2) is to find it. */
		.flags = CLONE_VM | CLONE_FILES | CLONE_CLEAR_SIGHAND,
		.stack = guard->stack,
		.stack_size = guard->stack_size,
	};
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&all, (int64_t)&old, 8);
	int64_t pid = run_apart(&args, watch, guard, NULL);
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&old, 0, 8);
	return pid;
}
