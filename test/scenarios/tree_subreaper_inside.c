// SPDX-License-Identifier: GPL-2.0-only
// A subreaper below the root has adopted an orphan: a process below that is the child of a process that did not fork it.
#include "tree.h"

static void leaf(void *arg)
{
	pid_t *parent = arg;
	arrive_and_wait();
	expect("parent", *parent, getppid());
}

static void middle(void *arg)
{
	arrive_with(start_child(leaf, arg));
}

static void reaper(void *arg)
{
	(void)arg;
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t self = getpid(), gone = start_child(middle, &self), adopted = arrived_value;
	expect_exit(gone, 0);
	must(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)); // no longer one
	arrive_and_wait();
	int flag = 1;
	must(prctl(PR_GET_CHILD_SUBREAPER, &flag, 0, 0, 0));
	expect("subreaper", 0, flag);
	check_child(adopted);
	expect_no_child();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(reaper, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	pass();
}
