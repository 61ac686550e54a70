// SPDX-License-Identifier: GPL-2.0-only
// A process stopped by SIGSTOP with all its threads goes on with all of them when SIGCONT comes.
// @cflags -pthread
// @stopped
#include "threads.h"

enum { N = 3 };
static unsigned long turns[N];

static void *run(void *arg)
{
	arrive();
	while (!__atomic_load_n(&released_word, __ATOMIC_SEQ_CST)) {
		turns[(long)arg]++;
		struct timespec ms = { 0, 500000 };
		nanosleep(&ms, NULL);
	}
	return (void *)((long)arg + 1);
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	wait_for_value(&arrived_count, N);
	ready();
	must(kill(getpid(), SIGSTOP));
	wait_for_trigger();
	unsigned long before[N];
	memcpy(before, turns, sizeof(before));
	struct timespec ms = { 0, 20000000 };
	nanosleep(&ms, NULL);
	for (long i = 0; i < N; i++)
		must_be(turns[i] > before[i]);
	set_value(&released_word, 1);
	for (long i = 0; i < N; i++)
		expect("result", i + 1, (long)join_thread(threads[i]));
	pass();
}
