// SPDX-License-Identifier: GPL-2.0-only
// A thousand children of one parent, each with a number of its own in memory.
// @skip-mode leave-running tree_hundred_children runs in it; a thousand processes take minutes on a slow machine
// @skip-mode leave-stopped tree_hundred_children runs in it; a thousand processes take minutes on a slow machine
// @skip-mode ours-peer tree_hundred_children runs in it; a thousand processes take minutes on a slow machine
// @skip-mode peer-ours tree_hundred_children runs in it; a thousand processes take minutes on a slow machine
#include "tree.h"

enum { N = 1000 };

static void run(void *arg)
{
	volatile long mine = (long)arg * 7;
	pid_t self = getpid();
	arrive_and_wait();
	expect("pid", self, getpid());
	expect("own number", (long)arg * 7, mine);
	_exit(100 + (long)arg % 100);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	static pid_t children[N];
	for (long i = 0; i < N; i++)
		children[i] = start_child(run, (void *)i);
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		must(kill(children[i], SIGUSR1));
		expect_exit(children[i], 100 + i % 100);
	}
	expect_no_child();
	pass();
}
