// SPDX-License-Identifier: GPL-2.0-only
// Threads come and go at a pace: 8 chains, in each of which a thread rests a while, joins its predecessor and starts its
// successor. No chain is broken, and no join is lost.
// @cflags -pthread
// @busy threads
// @storm 20
// @may-differ (tasks|task/.*) threads come and go
// @may-differ (stat|status)/(num_threads|Threads|vsize|VmSize|VmData) threads come and go
// @may-differ s?maps/.* stacks of threads come and go
#include "threads.h"

enum { CHAINS = 8 };
static struct link { pthread_t before; unsigned long length; } chain[CHAINS];

static void *run(void *arg)
{
	struct link *link = arg;
	struct timespec rest = { 0, 5000000 };
	if (link->length == 0)
		arrive();
	else
		expect("result of the thread before", link->length, (long)join_thread(link->before));
	clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
	void *result = (void *)++link->length;
	link->before = pthread_self();
	if (__atomic_load_n(&released_word, __ATOMIC_SEQ_CST))
		arrive();
	else
		start_thread(run, link);
	return result;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	for (long i = 0; i < CHAINS; i++)
		start_thread(run, &chain[i]);
	unsigned long before[CHAINS];
	wait_for_value(&arrived_count, CHAINS);
	ready();
	wait_for_trigger();
	for (int i = 0; i < CHAINS; i++)
		before[i] = __atomic_load_n(&chain[i].length, __ATOMIC_SEQ_CST);
	struct timespec ms = { 0, 1000000 };
	for (int i = 0; i < CHAINS; i++)
		for (int n = 0; __atomic_load_n(&chain[i].length, __ATOMIC_SEQ_CST) < before[i] + 3; n++) {
			if (n > 10000)
				fail("chain %d, wanted progress, got none in 10 s", i);
			nanosleep(&ms, NULL);
		}
	set_value(&released_word, 1);
	wait_for_value(&arrived_count, 2 * CHAINS);
	pass();
}
