// SPDX-License-Identifier: GPL-2.0-only
// Three pairs of threads hand a turn to and fro by futex wake-ups at full speed: no wake-up is lost (a pair would hang) or
// counted twice (the turn would be out of step).
// @cflags -pthread
// @busy threads
// @storm 20
#include "threads.h"

enum { PAIRS = 3 };
static struct pair { unsigned turn, stop; unsigned long count[2]; } __attribute__((aligned(64))) pairs[PAIRS];

static void *run(void *arg)
{
	struct pair *pair = &pairs[(long)arg / 2];
	unsigned me = (long)arg % 2;
	arrive();
	for (;;) {
		unsigned seen;
		while ((seen = __atomic_load_n(&pair->turn, __ATOMIC_SEQ_CST)) % 2 != me) {
			if (futex_wait(&pair->turn, seen) < 0)
				must_be(errno == EAGAIN || errno == EINTR);
		}
		if (seen / 2 != (unsigned)pair->count[me])
			fail("turn %u at thread %ld, wanted its count %lu", seen, (long)arg, pair->count[me]);
		breathe(pair->count[me]++);
		unsigned stop = __atomic_load_n(&pair->stop, __ATOMIC_SEQ_CST);
		if (stop == 1 && me == 0)
			__atomic_store_n(&pair->stop, 2, __ATOMIC_SEQ_CST); // the other one has its last turn now
		int last = me == 0 ? stop == 1 : stop == 2;
		__atomic_store_n(&pair->turn, seen + 1, __ATOMIC_SEQ_CST);
		if (futex_wake(&pair->turn, 1) > 1)
			fail("more than one thread woken");
		if (last)
			return NULL;
	}
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[2 * PAIRS];
	for (long i = 0; i < 2 * PAIRS; i++)
		threads[i] = start_thread(run, (void *)i);
	wait_for_value(&arrived_count, 2 * PAIRS);
	ready();
	wait_for_trigger();
	for (int i = 0; i < PAIRS; i++) {
		unsigned from = __atomic_load_n(&pairs[i].turn, __ATOMIC_SEQ_CST);
		struct timespec ms = { 0, 1000000 };
		for (int n = 0; __atomic_load_n(&pairs[i].turn, __ATOMIC_SEQ_CST) - from < 1000; n++) {
			if (n > 10000)
				fail("pair %d, wanted 1000 turns, got %u in 10 s", i, pairs[i].turn - from);
			nanosleep(&ms, NULL);
		}
		__atomic_store_n(&pairs[i].stop, 1, __ATOMIC_SEQ_CST);
	}
	for (int i = 0; i < 2 * PAIRS; i++)
		join_thread(threads[i]);
	for (int i = 0; i < PAIRS; i++) {
		expect("turns of both threads", pairs[i].count[0], pairs[i].count[1]);
		expect("sum of turns", pairs[i].turn, (unsigned)(pairs[i].count[0] + pairs[i].count[1]));
	}
	pass();
}
