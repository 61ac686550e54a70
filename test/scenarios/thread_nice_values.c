// SPDX-License-Identifier: GPL-2.0-only
// Each thread's nice value, from the most to the least urgent.
// @cflags -pthread
#include "threads.h"
#include <sys/resource.h>

static const int values[] = { -20, -7, 0, 3, 19 };
enum { N = sizeof(values) / sizeof(*values) };

static void *run(void *arg)
{
	int value = values[(long)arg];
	if (setpriority(PRIO_PROCESS, own_tid(), value) < 0)
		skip("setpriority: %s", strerror(errno));
	arrive_and_wait();
	errno = 0;
	expect("nice value of a thread", value, getpriority(PRIO_PROCESS, own_tid()));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	must(setpriority(PRIO_PROCESS, own_tid(), 5));
	checkpoint_threads(N);
	expect("nice value of the main thread", 5, getpriority(PRIO_PROCESS, own_tid()));
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
