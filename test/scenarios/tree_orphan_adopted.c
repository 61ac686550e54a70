// SPDX-License-Identifier: GPL-2.0-only
// An orphan that the root, a subreaper, has adopted stays its child.
#include "tree.h"

static void orphan(void *arg)
{
	(void)arg;
	arrive_and_wait();
	expect("parent", root_pid, getppid());
	_exit(17);
}

static void middle(void *arg)
{
	(void)arg;
	arrive_with(start_child(orphan, NULL));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t gone = start_child(middle, NULL), adopted = arrived_value;
	expect_exit(gone, 0);
	ready();
	wait_for_trigger();
	int flag = 0;
	must(prctl(PR_GET_CHILD_SUBREAPER, &flag, 0, 0, 0));
	expect("subreaper", 1, flag);
	must(kill(adopted, SIGUSR1));
	expect_exit(adopted, 17);
	expect_no_child();
	pass();
}
