// SPDX-License-Identifier: GPL-2.0-only
// A zombie in a session whose leader, its former parent, no longer exists; the root has adopted it.
// @skip-peer CRIU 4.1.1 can rebuild such a session only below the init of a pid namespace
#include "tree.h"

static void run(void *arg)
{
	(void)arg;
	must(setsid());
	pid_t zombie = must(fork());
	if (zombie == 0)
		_exit(8);
	await_zombie(zombie);
	arrive_with(zombie);
	_exit(7);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t leader = start_child(run, NULL), zombie = arrived_value;
	expect_exit(leader, 7);
	await_zombie(zombie);
	ready();
	wait_for_trigger();
	expect("session of the zombie", leader, getsid(zombie));
	expect("group of the zombie", leader, getpgid(zombie));
	expect_exit(zombie, 8);
	expect_no_child();
	pass();
}
