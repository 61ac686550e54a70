// SPDX-License-Identifier: GPL-2.0-only
// A process that ends after the restore leaves its children to the nearest subreaper above, as it would have before.
#include "tree.h"

static void leaf(void *arg)
{
	pid_t *heir = arg;
	arrive_and_wait();
	expect("parent after the old one's end", *heir, getppid());
}

static void middle(void *arg)
{
	arrive_with(start_child(leaf, arg));
	wait_for_check();
}

static void reaper(void *arg)
{
	(void)arg;
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t self = getpid(), child = start_child(middle, &self), grandchild = arrived_value;
	arrive_and_wait();
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
	check_child(child);
	expect_no_child();
	pass();
}
