// SPDX-License-Identifier: GPL-2.0-only
// A bush: each process of four generations has three children, 120 below the root.
#include "tree.h"

enum { GENERATIONS = 4, CHILDREN = 3 };

static void run(void *arg)
{
	long generation = (long)arg;
	pid_t self = getpid(), parent = getppid(), children[CHILDREN];
	int n = generation < GENERATIONS ? CHILDREN : 0;
	for (int i = 0; i < n; i++)
		children[i] = start_child(run, (void *)(generation + 1));
	if (generation > 0)
		arrive_and_wait();
	else {
		ready();
		wait_for_trigger();
	}
	expect("pid", self, getpid());
	expect("parent", parent, getppid());
	for (int i = 0; i < n; i++)
		check_child(children[i]);
	expect_no_child();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	run((void *)0L);
	pass();
}
