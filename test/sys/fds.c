// SPDX-License-Identifier: GPL-2.0-only
// fds: 600 counters, each with a number of its own, and 12 epolls that watch all of them, whose fdinfo is 50 KB each.
// Says "ready" and waits for the end of its input.
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define COUNTERS 600
#define EPOLLS 12

int main(void)
{
	int counters[COUNTERS];
	char byte;

	for (int i = 0; i < COUNTERS; i++)
		if ((counters[i] = eventfd(i + 1, EFD_CLOEXEC)) < 0)
			return 1;
	for (int i = 0; i < EPOLLS; i++) {
		int fd = epoll_create1(EPOLL_CLOEXEC);

		for (int k = 0; k < COUNTERS; k++) {
			struct epoll_event event = { .events = EPOLLIN, .data.u64 = k };

			if (epoll_ctl(fd, EPOLL_CTL_ADD, counters[k], &event) < 0)
				return 1;
		}
	}
	if (puts("ready") < 0 || fflush(stdout) != 0)
		return 1;
	return read(0, &byte, 1) == 0 ? 0 : 1;
}
