// SPDX-License-Identifier: GPL-2.0-only
// A subreaper that became one after its descendants were born still gets their orphans.
#include "tree.h"

static void leaf(void *arg)
{
	pid_t *heir = arg;
	arrive_and_wait();
	expect("parent", *heir, getppid());
}

static void middle(void *arg)
{
	arrive_with(start_child(leaf, arg));
	wait_for_check();
}

static void reaper(void *arg)
{
	(void)arg;
	pid_t self = getpid(), child = start_child(middle, &self), grandchild = arrived_value;
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	arrive_and_wait();
	int flag = 0;
	must(prctl(PR_GET_CHILD_SUBREAPER, &flag, 0, 0, 0));
	expect("subreaper", 1, flag);
	check_child(child);
	check_child(grandchild);
	expect_no_child();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(reaper, NULL);
	ready();
	wait_for_trigger();
	int flag = 1;
	must(prctl(PR_GET_CHILD_SUBREAPER, &flag, 0, 0, 0));
	expect("root as subreaper", 0, flag);
	check_child(child);
	expect_no_child();
	pass();
}
