// SPDX-License-Identifier: GPL-2.0-only
// Files that were added under numbers which are closed, or belong to other files, are watched on and can be removed by them.
// @skip-peer the peer adds such files under numbers that are open, some of them twice
#include "scenario.h"
#include <sys/epoll.h>

static int watch;

static void add(int fd, uint64_t data)
{
	struct epoll_event event = { EPOLLIN, { .u64 = data } };
	must(epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static const int numbers[] = { 702, 702, 702, 701, 701 };
	int pipes[5][2];
	watch = must(epoll_create1(0));
	for (int i = 0; i < 5; i++) {
		must(pipe(pipes[i]));
		must(dup2(pipes[i][0], numbers[i]));
		add(numbers[i], i);
	}
	close(702); // 701 now belongs to the fifth, 702 to nobody
	add(pipes[4][0], 14);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 5; i++) {
		must_be(write(pipes[i][1], "x", 1) == 1);
		struct epoll_event event[4];
		expect("events", i == 4 ? 2 : 1, epoll_wait(watch, event, 4, 0));
		for (int k = 0; k < (i == 4 ? 2 : 1); k++)
			expect("data", i, event[k].data.u64 % 10);
		char byte;
		must_be(read(pipes[i][0], &byte, 1) == 1);
	}
	expect("removal by a closed number", -1, epoll_ctl(watch, EPOLL_CTL_DEL, 702, NULL));
	expect("its errno", EBADF, errno);
	must(dup2(pipes[1][0], 702));
	must(epoll_ctl(watch, EPOLL_CTL_DEL, 702, NULL));
	must_be(write(pipes[1][1], "x", 1) == 1);
	struct epoll_event event;
	expect("events of what was removed", 0, epoll_wait(watch, &event, 1, 0));
	must(epoll_ctl(watch, EPOLL_CTL_DEL, 701, NULL));
	must_be(write(pipes[4][1], "x", 1) == 1);
	expect("events of what is left", 1, epoll_wait(watch, &event, 1, 0));
	expect("its data", 14, event.data.u64);
	pass();
}
