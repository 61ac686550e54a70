// SPDX-License-Identifier: GPL-2.0-only
// An epoll tells of what it watches with the right data: level and edge triggered, one-shot, exclusive; changes go on to work.
#include "scenario.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int watch;

static void add(int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { events, { .u64 = data } };
	must(epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event));
}

static void put(int fd)
{
	uint64_t one = 1;
	must_be(write(fd, &one, 8) == 8);
}

static void expect_event(uint64_t data)
{
	struct epoll_event event[2] = { 0 };
	expect("number of events", 1, epoll_wait(watch, event, 2, 0));
	expect("data of the event", data, event[0].data.u64);
	expect("event", EPOLLIN, event[0].events);
}

static void expect_none(void)
{
	struct epoll_event event;
	expect("number of events", 0, epoll_wait(watch, &event, 1, 0));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	watch = must(epoll_create1(EPOLL_CLOEXEC));
	int level = must(eventfd(0, EFD_NONBLOCK)), edge = must(eventfd(0, EFD_NONBLOCK)), once = must(eventfd(0, EFD_NONBLOCK));
	int alone = must(eventfd(0, EFD_NONBLOCK)), none = must(eventfd(1, EFD_NONBLOCK));
	add(level, EPOLLIN, ~0ULL);
	add(edge, EPOLLIN | EPOLLET | EPOLLRDHUP, 2);
	add(once, EPOLLIN | EPOLLONESHOT, 3);
	add(alone, EPOLLIN | EPOLLEXCLUSIVE, 4ULL << 60);
	add(none, 0, 5);
	ready();
	wait_for_trigger();
	expect_none();
	uint64_t value;
	put(level);
	expect_event(~0ULL);
	expect_event(~0ULL);
	must_be(read(level, &value, 8) == 8);
	expect_none();
	put(edge);
	expect_event(2);
	expect_none();
	put(once);
	expect_event(3);
	put(once);
	expect_none();
	struct epoll_event event = { EPOLLIN | EPOLLONESHOT, { .u64 = 33 } };
	must(epoll_ctl(watch, EPOLL_CTL_MOD, once, &event));
	expect_event(33);
	put(alone);
	expect_event(4ULL << 60);
	must(epoll_ctl(watch, EPOLL_CTL_DEL, alone, NULL));
	expect_none();
	expect("second addition", -1, epoll_ctl(watch, EPOLL_CTL_ADD, level, &event));
	expect("its errno", EEXIST, errno);
	event = (struct epoll_event){ EPOLLIN, { .u64 = 55 } };
	must(epoll_ctl(watch, EPOLL_CTL_MOD, none, &event));
	expect_event(55);
	pass();
}
