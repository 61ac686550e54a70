// SPDX-License-Identifier: GPL-2.0-only
// The timer slack of each thread.
// @cflags -pthread
// @skip-peer the original does not keep the timer slack
#include "threads.h"
#include <sys/prctl.h>

enum { N = 3 };

static void *run(void *arg)
{
	long slack = 100000 + 1111 * (long)arg;
	must(prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0));
	arrive_and_wait();
	expect("timer slack of a thread", slack, prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	expect("timer slack of the main thread", 50000, prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
