// SPDX-License-Identifier: GPL-2.0-only
// Threads blocked in epoll_wait and epoll_pwait get their event after the restore.
// @cflags -pthread
#include "threads.h"
#include <sys/epoll.h>

static int ends[2][2], watch[2];

static void *run(void *arg)
{
	long i = (long)arg;
	struct epoll_event event = { 0 };
	sigset_t mask;
	sigfillset(&mask);
	int got;
	arrive();
	while ((got = i ? epoll_pwait(watch[i], &event, 1, 3600000, &mask) : epoll_wait(watch[i], &event, 1, -1)) < 0)
		expect("errno", EINTR, errno);
	expect("events", 1, got);
	expect("event", EPOLLIN, event.events);
	expect("event's data", 0x1234567800L + i, event.data.u64);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[2];
	for (long i = 0; i < 2; i++) {
		must(pipe(ends[i]));
		watch[i] = must(epoll_create1(0));
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0x1234567800L + i };
		must(epoll_ctl(watch[i], EPOLL_CTL_ADD, ends[i][0], &event));
		threads[i] = start_thread(run, (void *)i);
	}
	checkpoint_threads(2);
	for (long i = 0; i < 2; i++)
		must_be(write(ends[i][1], "x", 1) == 1);
	for (long i = 0; i < 2; i++)
		join_thread(threads[i]);
	pass();
}
