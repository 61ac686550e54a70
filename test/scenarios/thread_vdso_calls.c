// SPDX-License-Identifier: GPL-2.0-only
// Threads that read clocks in the vdso all the time: time never goes back, in dumps at any place of that code.
// @cflags -pthread
// @busy threads
// @storm 20
#include "threads.h"

enum { N = 3 };

static void *run(void *arg)
{
	const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW };
	struct timespec last = { 0, 0 }, now;
	unsigned long calls = 0;
	arrive();
	for (; !__atomic_load_n(&released_word, __ATOMIC_SEQ_CST); calls++) {
		must(clock_gettime(clocks[(long)arg], &now));
		if (now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec))
			fail("clock %d went back from %ld.%09ld to %ld.%09ld", clocks[(long)arg], last.tv_sec, last.tv_nsec, now.tv_sec,
			     now.tv_nsec);
		last = now;
	}
	must_be(calls > 0);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	for (int i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
