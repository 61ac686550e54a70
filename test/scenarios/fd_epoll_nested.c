// SPDX-License-Identifier: GPL-2.0-only
// Epolls that watch epolls, made in either order, pass events on.
#include "scenario.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static void add(int watch, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { events, { .u64 = data } };
	must(epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event));
}

static void expect_event(int watch, uint64_t data)
{
	struct epoll_event event[2];
	expect("events", 1, epoll_wait(watch, event, 2, 0));
	expect("data", data, event[0].data.u64);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int outer = must(epoll_create1(0)), middle = must(epoll_create1(0)), inner = must(epoll_create1(0));
	int fd = must(eventfd(0, EFD_NONBLOCK)), side = must(eventfd(0, EFD_NONBLOCK));
	add(outer, middle, EPOLLIN, 1);
	add(middle, inner, EPOLLIN, 2);
	add(inner, fd, EPOLLIN, 3);
	add(outer, side, EPOLLIN | EPOLLET, 4);
	ready();
	wait_for_trigger();
	uint64_t one = 1;
	must_be(write(fd, &one, 8) == 8);
	expect_event(outer, 1);
	expect_event(middle, 2);
	expect_event(inner, 3);
	must_be(read(fd, &one, 8) == 8);
	struct epoll_event event;
	expect("events of nothing", 0, epoll_wait(outer, &event, 1, 0));
	must_be(write(side, &one, 8) == 8);
	expect_event(outer, 4);
	expect("a circle", -1, epoll_ctl(inner, EPOLL_CTL_ADD, outer, &event));
	expect("its errno", ELOOP, errno);
	pass();
}
