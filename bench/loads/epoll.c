// SPDX-License-Identifier: GPL-2.0-only
// epoll COUNT: an epoll that watches that many event counters; every other one is ready.
#include "descriptors.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static size_t count;
static int poller;

static int check(void)
{
	size_t seen = 0;
	struct epoll_event *events = calloc(count, sizeof(*events));
	if (events == NULL)
		return 0;
	int got = epoll_wait(poller, events, count, 0);
	for (int i = 0; i < got; i++)
		seen += events[i].data.u64 % 2;
	return got == (int)(count / 2) && seen == count / 2;
}

int main(int argc, char **argv)
{
	count = argc > 1 ? strtoul(argv[1], NULL, 10) : 5000;
	allow_descriptors(count);
	poller = epoll_create1(0);
	need(poller >= 0, "epoll_create1");
	for (size_t i = 0; i < count; i++) {
		int fd = eventfd(i % 2, EFD_NONBLOCK);
		need(fd >= 0, "eventfd");
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = i };
		need(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
	}
	tell_ready();
	wait_and_check(check);
}
