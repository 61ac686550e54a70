// SPDX-License-Identifier: GPL-2.0-only
// Children that spin in user mode without any system call go on counting, and leave the loop when SIGTERM comes.
// @busy children
// @may-differ (stat/state|status/State) they run
#include "tree.h"

enum { N = 2 };

static void run(void *arg)
{
	volatile unsigned long *count = arg, mine = 0;
	arrive();
	while (!scenario_triggered)
		*count = ++mine;
	expect("count", mine, *count);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	volatile unsigned long *counts = shared_memory(PAGE);
	pid_t children[N];
	for (int i = 0; i < N; i++)
		children[i] = start_child(run, (void *)(counts + i));
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		unsigned long seen = counts[i];
		while (counts[i] == seen)
			usleep(1000);
		must_be(counts[i] > seen);
		must(kill(children[i], SIGTERM));
		expect_exit(children[i], 0);
	}
	pass();
}
