// SPDX-License-Identifier: GPL-2.0-only
// With no subreaper in the tree, a process orphaned after the restore goes to the parent of the root.
#include "tree.h"

static volatile int *done;

static void leaf(void *arg)
{
	(void)arg;
	arrive_and_wait();
	expect("parent after the old one's end", 1, getppid());
	*done = 1;
}

static void middle(void *arg)
{
	(void)arg;
	arrive_with(start_child(leaf, NULL));
	wait_for_check();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	done = shared_memory(PAGE);
	pid_t child = start_child(middle, NULL), grandchild = arrived_value;
	ready();
	wait_for_trigger();
	check_child(child);
	expect_no_child();
	must(kill(grandchild, SIGUSR1));
	while (kill(grandchild, 0) == 0)
		usleep(1000);
	expect("the orphan's check", 1, *done);
	pass();
}
