// SPDX-License-Identifier: GPL-2.0-only
// A zombie in a process group whose leader no longer exists.
#include "tree.h"

static pid_t *sibling;

static void quit(void *arg)
{
	(void)arg;
	arrive();
	_exit(5);
}

static void run(void *arg)
{
	(void)arg;
	must(setpgid(0, 0));
	arrive_with(start_child_by(CLONE_PARENT | SIGCHLD, quit, NULL));
	_exit(6);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	sibling = shared_memory(PAGE);
	pid_t leader = start_child(run, NULL), zombie = arrived_value;
	expect_exit(leader, 6);
	await_zombie(zombie);
	ready();
	wait_for_trigger();
	expect("group of the zombie", leader, getpgid(zombie));
	expect("the leader", -1, kill(leader, 0));
	expect_exit(zombie, 5);
	expect_no_child();
	pass();
}
