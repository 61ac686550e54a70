// SPDX-License-Identifier: GPL-2.0-only
// After the restore old threads start new ones and join them, 100 in turn; thread ids of the living stay theirs.
// @cflags -pthread
#include "threads.h"

enum { N = 4, ROUNDS = 25 };
static __thread long mark = 99;

static void *run_new(void *arg)
{
	expect("thread-local variable of a new thread", 99, mark);
	mark = (long)arg;
	sched_yield();
	expect("thread-local variable", (long)arg, mark);
	return (void *)((long)arg * 3);
}

static void *run(void *arg)
{
	pid_t tid = own_tid();
	mark = 1000 + (long)arg;
	arrive_and_wait();
	expect("thread id", tid, own_tid());
	for (long i = 0; i < ROUNDS; i++)
		expect("result of a new thread", i * 3, (long)join_thread(start_thread(run_new, (void *)i)));
	expect("thread-local variable of an old thread", 1000 + (long)arg, mark);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
