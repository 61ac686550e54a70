// SPDX-License-Identifier: GPL-2.0-only
// A one-shot registration that has fired stays silent, also about a hang-up, until it's armed again.
// @skip-peer the peer arms it for errors and hang-ups
#include "scenario.h"
#include <sys/epoll.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int watch = must(epoll_create1(0)), ends[2], second[2];
	must(pipe(ends));
	must(pipe(second));
	struct epoll_event event = { EPOLLIN | EPOLLONESHOT, { .u64 = 9 } }, other = { EPOLLIN, { .u64 = 10 } };
	must(epoll_ctl(watch, EPOLL_CTL_ADD, ends[0], &event));
	must(epoll_ctl(watch, EPOLL_CTL_ADD, second[0], &other));
	must_be(write(ends[1], "x", 1) == 1);
	must_be(write(second[1], "x", 1) == 1);
	struct epoll_event got[3];
	expect("events before", 2, epoll_wait(watch, got, 3, 0));
	ready();
	wait_for_trigger();
	expect("events of the other", 1, epoll_wait(watch, got, 3, 0));
	expect("its data", 10, got[0].data.u64);
	close(ends[1]);
	expect("events after the hang-up", 1, epoll_wait(watch, got, 3, 0));
	must(epoll_ctl(watch, EPOLL_CTL_MOD, ends[0], &event));
	expect("events when armed again", 2, epoll_wait(watch, got, 3, 0));
	pass();
}
