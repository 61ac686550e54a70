// SPDX-License-Identifier: GPL-2.0-only
// Threads appear and vanish all the time: 8 chains, in each of which a thread joins its predecessor, starts its successor
// and ends. All are caught at each dump, and no chain is broken.
// @cflags -pthread
// @busy threads
// @storm 20
// @skip-peer CRIU 4.1.1 gives up after some rounds of looking for new threads
// @may-differ (tasks|task/.*) threads come and go
// @may-differ (stat|status)/(num_threads|Threads|vsize|VmSize|VmData) threads come and go
// @may-differ s?maps/.* stacks of threads come and go
#include "threads.h"

enum { CHAINS = 8 };
static struct link { pthread_t before; unsigned long length; } chain[CHAINS];
static pthread_attr_t attr;

static void *run(void *arg)
{
	struct link *link = arg;
	if (link->length == 0)
		arrive();
	else
		expect("result of the thread before", link->length, (long)join_thread(link->before));
	link->length++;
	if (link->length % 4 == 3) // else nothing but this would run on some machines, see breathe
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	void *result = (void *)link->length;
	if (__atomic_load_n(&released_word, __ATOMIC_SEQ_CST)) {
		arrive();
		return result;
	}
	link->before = pthread_self();
	pthread_t next;
	int error = pthread_create(&next, &attr, run, link);
	if (error)
		fail("pthread_create, wanted success, got errno %d", error);
	return result;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	must_be(pthread_attr_init(&attr) == 0);
	must_be(pthread_attr_setstacksize(&attr, 64 << 10) == 0);
	must_be(pthread_sigmask(SIG_BLOCK, &term, NULL) == 0);
	for (long i = 0; i < CHAINS; i++) {
		pthread_t first;
		must_be(pthread_create(&first, &attr, run, &chain[i]) == 0);
	}
	must_be(pthread_sigmask(SIG_UNBLOCK, &term, NULL) == 0);
	unsigned long before[CHAINS];
	wait_for_value(&arrived_count, CHAINS);
	ready();
	wait_for_trigger();
	for (int i = 0; i < CHAINS; i++)
		before[i] = __atomic_load_n(&chain[i].length, __ATOMIC_SEQ_CST);
	struct timespec ms = { 0, 1000000 };
	for (int i = 0; i < CHAINS; i++)
		for (int n = 0; __atomic_load_n(&chain[i].length, __ATOMIC_SEQ_CST) == before[i]; n++) {
			if (n > 10000)
				fail("chain %d, wanted progress, got none in 10 s", i);
			nanosleep(&ms, NULL);
		}
	set_value(&released_word, 1);
	wait_for_value(&arrived_count, 2 * CHAINS);
	pass();
}
