// SPDX-License-Identifier: GPL-2.0-only
// Threads bound to one CPU each keep that binding; the main thread keeps all CPUs.
// @cflags -pthread
// @skip-peer the original keeps no affinity
#include "threads.h"
#include <sched.h>

enum { N = 4 };
static cpu_set_t all;

static int nth_cpu(long i)
{
	long seen = i % CPU_COUNT(&all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && seen-- == 0)
			return cpu;
	fail("no CPU number %ld", i);
}

static void *run(void *arg)
{
	cpu_set_t set, got;
	CPU_ZERO(&set);
	CPU_SET(nth_cpu((long)arg), &set);
	must(sched_setaffinity(0, sizeof(set), &set));
	arrive_and_wait();
	must(sched_getaffinity(0, sizeof(got), &got));
	must_be(CPU_EQUAL(&set, &got));
	expect("CPU that it runs on", nth_cpu((long)arg), sched_getcpu());
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(sched_getaffinity(0, sizeof(all), &all));
	if (CPU_COUNT(&all) < 2)
		skip("only one CPU");
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	cpu_set_t got;
	must(sched_getaffinity(0, sizeof(got), &got));
	must_be(CPU_EQUAL(&all, &got));
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
