// SPDX-License-Identifier: GPL-2.0-only
// The rseq area that the C library registered for each thread is registered still, and the kernel updates it.
// @cflags -pthread
#include "threads.h"
#include <sys/rseq.h>

enum { N = 4 };

static void check(const char *who)
{
	struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
	expect(who, -1, syscall(SYS_rseq, area, 32, 0, RSEQ_SIG));
	expect(who, EBUSY, errno);
	*(volatile unsigned *)&area->cpu_id = -1;
	struct timespec ms = { 0, 1000000 };
	for (int i = 0; i < 10000 && *(volatile int *)&area->cpu_id < 0; i++)
		nanosleep(&ms, NULL);
	must_be(*(volatile int *)&area->cpu_id >= 0);
}

static void *run(void *arg)
{
	arrive_and_wait();
	check("rseq of a thread");
	return arg;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (__rseq_size == 0)
		skip("the C library registered no rseq area");
	pthread_t threads[N];
	for (int i = 0; i < N; i++)
		threads[i] = start_thread(run, NULL);
	checkpoint_threads(N);
	check("rseq of the main thread");
	for (int i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
