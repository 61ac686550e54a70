// SPDX-License-Identifier: GPL-2.0-only
// The parent-death signal of each thread.
// @cflags -pthread
#include "threads.h"
#include <sys/prctl.h>

static const int values[] = { SIGUSR1, 0, SIGURG, 64 };
enum { N = sizeof(values) / sizeof(*values) };

static void *run(void *arg)
{
	must(prctl(PR_SET_PDEATHSIG, values[(long)arg]));
	arrive_and_wait();
	int got = -1;
	must(prctl(PR_GET_PDEATHSIG, &got));
	expect("parent-death signal of a thread", values[(long)arg], got);
	return NULL;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	for (int i = 0; i < N; i++)
		if (values[i])
			must_be(signal(values[i], SIG_IGN) != SIG_ERR); // the parent of a restored root is criu, which ends
	pthread_t threads[N];
	for (long i = 0; i < N; i++)
		threads[i] = start_thread(run, (void *)i);
	must(prctl(PR_SET_PDEATHSIG, SIGWINCH));
	checkpoint_threads(N);
	int got = -1;
	must(prctl(PR_GET_PDEATHSIG, &got));
	expect("parent-death signal of the main thread", SIGWINCH, got);
	for (long i = 0; i < N; i++)
		join_thread(threads[i]);
	pass();
}
