// SPDX-License-Identifier: GPL-2.0-only
// Two epolls over 250 pipes, one by their own numbers, the other under one number that is closed (as files-007).
// @peer-may-differ fd/5/tfd/.* the peer adds files under numbers that are open
#include "scenario.h"
#include <sys/epoll.h>

#define N 250

static void expect_event(int watch, int i)
{
	struct epoll_event event[2];
	expect("events", 1, epoll_wait(watch, event, 2, 0));
	expect("index", i, event[0].data.u64);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int own = must(epoll_create1(0)), moved = must(epoll_create1(0)), pipes[N][2];
	for (int i = 0; i < N; i++) {
		must(pipe(pipes[i]));
		if (i & 1) {
			must(dup2(pipes[i][0], 700 + i));
			close(pipes[i][0]);
			pipes[i][0] = 700 + i;
		}
		struct epoll_event event = { EPOLLIN, { .u64 = i } };
		must(epoll_ctl(own, EPOLL_CTL_ADD, pipes[i][0], &event));
		must(dup2(pipes[i][0], 999));
		must(epoll_ctl(moved, EPOLL_CTL_ADD, 999, &event));
		close(999);
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		must_be(write(pipes[i][1], "x", 1) == 1);
		expect_event(own, i);
		expect_event(moved, i);
		char byte;
		must_be(read(pipes[i][0], &byte, 1) == 1);
	}
	pass();
}
