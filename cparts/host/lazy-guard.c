/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that is still missing reads as zeros once the last descriptor of its userfaultfd is closed. A child that shares
 * memory and descriptors with us, but not our end, keeps them open when we end before all pages are there: it ends the
 * processes that wait for pages, so that none goes on with wrong memory. Source: userfaultfd(2), pidfd_send_signal(2),
 * ioctl_userfaultfd(2) UFFDIO_POISON. */
#define _GNU_SOURCE
#include "apart.h"
#include "host.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* How many more of them are taken on. */
#define MAX_FORKS 4096

/* Of Linux 6.6; headers may be older. */
struct poison {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define POISON _IOWR(UFFDIO, 0x08, struct poison)

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

/* Whoever waits for a page gets SIGBUS. While mappings change it has to ask again; before Linux 6.6 it goes on waiting. */
static void refuse_page(int32_t uffd, uint64_t address)
{
	struct uffdio_range range = { .start = address & ~4095ull, .len = 4096 };
	struct poison poison = { .range = range };
	int64_t ret = raw(SYS_ioctl, uffd, (int64_t)POISON, (int64_t)&poison, 0);
	if (ret == -EAGAIN || ret == -EEXIST)
		raw(SYS_ioctl, uffd, (int64_t)UFFDIO_WAKE, (int64_t)&range, 0);
}

/* Reads what a userfaultfd tells; how many forked memories are added to the list. */
static uint32_t listen_to(int32_t uffd, struct pollfd *forked, uint32_t room)
{
	struct uffd_msg messages[16];
	uint32_t added = 0;
	int64_t got = raw(SYS_read, uffd, (int64_t)messages, sizeof(messages), 0);
	for (int64_t i = 0; got > 0 && i < got / (int64_t)sizeof(messages[0]); i++) {
		if (messages[i].event == UFFD_EVENT_PAGEFAULT)
			refuse_page(uffd, messages[i].arg.pagefault.address);
		else if (messages[i].event == UFFD_EVENT_FORK && added < room)
			forked[added++] = (struct pollfd){ .fd = (int)messages[i].arg.fork.ufd, .events = POLLIN };
	}
	return added;
}

/* Forked processes that nobody knows by their pids: none gets a page any more. */
static void serve_nothing(const struct cr_lazy_fd *list, uint32_t nr)
{
	uint32_t room = nr + MAX_FORKS, used = 0, living = 1;
	int64_t at = cr_syscall(SYS_mmap, 0, room * sizeof(struct pollfd), PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct pollfd *set = (struct pollfd *)at;
	if (at < 0)
		return;
	for (uint32_t i = 0; i < nr; i++)
		if (!list[i].is_pidfd)
			set[used++] = (struct pollfd){ .fd = list[i].fd, .events = POLLIN };
	while (living) {
		living = 0;
		for (uint32_t i = 0; i < used; i++) {
			if (set[i].fd < 0)
				continue;
			used += listen_to(set[i].fd, set + used, room - used);
			if (lives(set[i].fd))
				living = 1;
			else
				set[i].fd = -1;
		}
		if (living)
			raw(SYS_poll, at, used, 20, 0);
	}
}

static void watch(void *arg, const void *unused)
{
	const struct cr_lazy_guard *guard = arg;
	struct pollfd end = { .fd = guard->pidfd, .events = POLLIN };
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
	serve_nothing(list, nr);
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
	cr_leave_group(pid);
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (int64_t)&old, 0, 8);
	return pid;
}
