// SPDX-License-Identifier: GPL-2.0-only
// IO priorities that differ from thread to thread: none, real-time, best effort, idle.
// @cflags -pthread
// @skip-peer CRIU 4.1.1 does not keep IO priorities
#include "threads.h"

static const int values[] = { 0, 1 << 13 | 2, 2 << 13 | 0, 2 << 13 | 7, 3 << 13 };
enum { N = sizeof(values) / sizeof(*values), WHO_PROCESS = 1 };

static void *run(void *arg)
{
	int value = values[(long)arg];
	if (value && syscall(SYS_ioprio_set, WHO_PROCESS, 0, value) < 0)
		skip("ioprio_set: %s", strerror(errno));
	long before = must(syscall(SYS_ioprio_get, WHO_PROCESS, 0));
	arrive_and_wait();
	expect("IO priority of a thread", before, syscall(SYS_ioprio_get, WHO_PROCESS, 0));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	if (syscall(SYS_ioprio_set, WHO_PROCESS, 0, 2 << 13 | 6) < 0)
		skip("ioprio_set: %s", strerror(errno));
	checkpoint_threads(N);
	expect("IO priority of the main thread", 2 << 13 | 6, syscall(SYS_ioprio_get, WHO_PROCESS, 0));
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
