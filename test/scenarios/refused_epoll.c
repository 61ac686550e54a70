// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for an epoll instance, and the program goes on unharmed.
// @expect refused EPOLL
#include "scenario.h"
#include <sys/epoll.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2], fd = must(epoll_create1(0));
	must(pipe(ends));
	struct epoll_event event = { EPOLLIN, { .u64 = 0x1122334455667788 } };
	must(epoll_ctl(fd, EPOLL_CTL_ADD, ends[0], &event));
	ready();
	wait_for_trigger();
	must_be(write(ends[1], "x", 1) == 1);
	memset(&event, 0, sizeof(event));
	expect("events", 1, epoll_wait(fd, &event, 1, 5000));
	expect("data", 0x1122334455667788, event.data.u64);
	pass();
}
