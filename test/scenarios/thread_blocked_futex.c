// SPDX-License-Identifier: GPL-2.0-only
// A thread blocked in a futex wait without limit sleeps on through each dump, and one wake-up after the restore ends its wait.
// @cflags -pthread
#include "threads.h"
static unsigned word = 17;

static void *run(void *arg)
{
	arrive();
	expect("result of the futex wait", 0, futex_wait(&word, 17));
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t thread = start_thread(run, NULL);
	checkpoint_threads(1);
	struct timespec ms = { 0, 1000000 };
	int i = 0;
	while (futex_wake(&word, 1) == 0 && i++ < 10000)
		nanosleep(&ms, NULL);
	must_be(i < 10000);
	expect("waiters left", 0, futex_wake(&word, 1));
	join_thread(thread);
	pass();
}
