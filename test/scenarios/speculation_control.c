// SPDX-License-Identifier: GPL-2.0-only
// Speculation settings of each thread (store bypass, indirect branches): switched off, and switched off for good.
// @cflags -pthread
#include "threads.h"
#include <sys/prctl.h>

static const struct { unsigned long kind, value; } settings[] = {
	{ PR_SPEC_STORE_BYPASS, PR_SPEC_DISABLE }, { PR_SPEC_INDIRECT_BRANCH, PR_SPEC_FORCE_DISABLE },
	{ PR_SPEC_STORE_BYPASS, PR_SPEC_FORCE_DISABLE }, { PR_SPEC_INDIRECT_BRANCH, PR_SPEC_DISABLE },
};
enum { N = sizeof(settings) / sizeof(*settings) };
static int made;

static void *run(void *arg)
{
	unsigned long kind = settings[(long)arg].kind;
	long all[2];
	if (prctl(PR_SET_SPECULATION_CTRL, kind, settings[(long)arg].value, 0, 0) == 0)
		__atomic_add_fetch(&made, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2; i++)
		all[i] = prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0);
	arrive_and_wait();
	for (int i = 0; i < 2; i++)
		expect("speculation setting of a thread", all[i], prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0));
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	wait_for_value(&arrived_count, N);
	if (!made)
		skip("this CPU or kernel lets no program set its speculation");
	checkpoint_threads(N);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
