// SPDX-License-Identifier: GPL-2.0-only
// A chain of 64 processes, each the only child of the one before.
#include "tree.h"

enum { DEPTH = 64 };

static void run(void *arg)
{
	long depth = (long)arg;
	pid_t self = getpid(), parent = getppid(), child = depth < DEPTH ? start_child(run, (void *)(depth + 1)) : 0;
	arrive_and_wait();
	expect("pid", self, getpid());
	expect("parent", parent, getppid());
	if (child)
		check_child(child);
	expect_no_child();
	_exit(0);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(run, (void *)1L);
	ready();
	wait_for_trigger();
	check_child(child);
	pass();
}
