// SPDX-License-Identifier: GPL-2.0-only
// Threads blocked in poll, ppoll, select and pselect, with and without limit: an event after the restore reaches each; before,
// none of them is told anything but EINTR.
// @cflags -pthread
#include "threads.h"
#include <poll.h>
#include <sys/select.h>

enum { N = 6 };
static int ends[N][2];

static int block(long i)
{
	struct pollfd on = { ends[i][0], POLLIN, 0 };
	fd_set set;
	struct timespec hour = { 3600, 0 };
	struct timeval hour_too = { 3600, 0 };
	sigset_t mask;
	sigfillset(&mask);
	FD_ZERO(&set);
	FD_SET(ends[i][0], &set);
	switch (i) {
	case 0:
		return poll(&on, 1, -1);
	case 1:
		return poll(&on, 1, 3600000);
	case 2:
		return ppoll(&on, 1, NULL, &mask);
	case 3:
		return ppoll(&on, 1, &hour, &mask);
	case 4:
		return select(ends[i][0] + 1, &set, NULL, NULL, &hour_too);
	default:
		return pselect(ends[i][0] + 1, &set, NULL, NULL, NULL, &mask);
	}
}

static void *run(void *arg)
{
	long i = (long)arg;
	int got;
	arrive();
	while ((got = block(i)) < 0)
		expect("errno", EINTR, errno);
	expect("descriptors ready", 1, got);
	char byte = 0;
	must_be(read(ends[i][0], &byte, 1) == 1);
	expect("byte", 'a' + i, byte);
	sigset_t mask;
	must_be(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
	expect("SIGUSR1 blocked after the call", 0, sigismember(&mask, SIGUSR1));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++) {
		must(pipe(ends[i]));
		threads[i] = start_thread(run, (void *)i);
	}
	checkpoint_threads(N);
	for (long i = 0; i < N; i++)
		must_be(write(ends[i][1], &(char){ 'a' + i }, 1) == 1);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
