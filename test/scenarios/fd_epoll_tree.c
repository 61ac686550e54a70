// SPDX-License-Identifier: GPL-2.0-only
// An epoll shared by parent and child tells both; what it watches may be open in the other task alone.
// @skip-peer the peer wants all watched files in the table of the task that has the epoll
#include "tree.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int watch, common, only;

static void run(void *arg)
{
	(void)arg;
	arrive_and_wait();
	uint64_t one = 1;
	struct epoll_event event[2];
	must_be(write(only, &one, 8) == 8);
	expect("events in the child", 1, epoll_wait(watch, event, 2, 0));
	expect("data in the child", 2, event[0].data.u64);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	watch = must(epoll_create1(0));
	common = must(eventfd(0, EFD_NONBLOCK));
	only = must(eventfd(0, EFD_NONBLOCK));
	struct epoll_event event = { EPOLLIN, { .u64 = 1 } }, got[3];
	must(epoll_ctl(watch, EPOLL_CTL_ADD, common, &event));
	event.data.u64 = 2;
	must(epoll_ctl(watch, EPOLL_CTL_ADD, only, &event));
	pid_t child = start_child(run, NULL);
	close(only);
	ready();
	wait_for_trigger();
	check_child(child);
	// The file went with the child.
	expect("events in the parent", 0, epoll_wait(watch, got, 3, 0));
	uint64_t one = 1;
	must_be(write(common, &one, 8) == 8);
	expect("events in the parent", 1, epoll_wait(watch, got, 3, 0));
	expect("data in the parent", 1, got[0].data.u64);
	pass();
}
