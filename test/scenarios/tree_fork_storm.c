// SPDX-License-Identifier: GPL-2.0-only
// A storm of forks: six processes fork children, which fork grandchildren, which end, as fast as they can. None escapes a
// dump or is lost by it: each fork that a process has counted is a death that somebody has reaped.
// @busy children
// @storm 20
// @may-differ tree|proc/.* processes come and go
// @may-differ (stat/state|status/State|stat/blocked|status/(SigBlk|ShdPnd|SigPnd)|stat/signal) as the moment wants it
#include "tree.h"

enum { N = 6 };
static struct counts { long forks, reaps, ends; volatile int stop; } *counts;

static void count(long *what)
{
	__atomic_add_fetch(what, 1, __ATOMIC_SEQ_CST);
}

static void fork_and_reap(int depth)
{
	pid_t pid = must(fork());
	if (pid == 0) {
		if (depth)
			fork_and_reap(depth - 1);
		count(&counts->ends);
		_exit(0);
	}
	count(&counts->forks);
	expect_exit(pid, 0);
	count(&counts->reaps);
}

static void run(void *arg)
{
	(void)arg;
	arrive();
	while (!counts->stop)
		fork_and_reap(1);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	counts = shared_memory(PAGE);
	pid_t children[N];
	for (int i = 0; i < N; i++)
		children[i] = start_child(run, NULL);
	ready();
	wait_for_trigger();
	long seen = counts->reaps;
	while (counts->reaps < seen + 100)
		usleep(1000);
	counts->stop = 1;
	for (int i = 0; i < N; i++)
		expect_exit(children[i], 0);
	expect("reaped", counts->forks, counts->reaps);
	expect("ended", counts->forks, counts->ends);
	expect_no_child();
	pass();
}
