// SPDX-License-Identifier: GPL-2.0-only
// Scheduling policies and priorities that differ from thread to thread.
// @cflags -pthread
#include "threads.h"
#include <sched.h>

static const struct { int policy, priority; } wanted[] = {
	{ SCHED_OTHER, 0 }, { SCHED_BATCH, 0 }, { SCHED_IDLE, 0 }, { SCHED_FIFO, 3 }, { SCHED_RR, 99 }, { SCHED_FIFO, 1 },
};
enum { N = sizeof(wanted) / sizeof(*wanted) };

static void *run(void *arg)
{
	long i = (long)arg;
	struct sched_param param = { .sched_priority = wanted[i].priority };
	if (sched_setscheduler(own_tid(), wanted[i].policy, &param) < 0)
		skip("sched_setscheduler: %s", strerror(errno));
	arrive_and_wait();
	expect("policy of a thread", wanted[i].policy, sched_getscheduler(own_tid()));
	must(sched_getparam(own_tid(), &param));
	expect("priority of a thread", wanted[i].priority, param.sched_priority);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	checkpoint_threads(N);
	expect("policy of the main thread", SCHED_OTHER, sched_getscheduler(own_tid()));
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
