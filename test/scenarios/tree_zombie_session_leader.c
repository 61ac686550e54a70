// SPDX-License-Identifier: GPL-2.0-only
// A zombie that leads a session: its child lives on in the session, adopted by the root.
// @skip-peer CRIU 4.1.1 can rebuild such a session only below the init of a pid namespace
#include "tree.h"

static void grandchild(void *arg)
{
	pid_t session = getsid(0);
	(void)arg;
	arrive_and_wait();
	expect("session", session, getsid(0));
	expect("group", session, getpgrp());
	expect("parent", root_pid, getppid());
}

static void run(void *arg)
{
	(void)arg;
	must(setsid());
	arrive_with(start_child(grandchild, NULL));
	_exit(3);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t leader = start_child(run, NULL), orphan = arrived_value;
	await_zombie(leader);
	ready();
	wait_for_trigger();
	expect("session of the zombie", leader, getsid(leader));
	expect("session of its child", leader, getsid(orphan));
	expect_exit(leader, 3);
	expect("session whose leader is gone", leader, getsid(orphan));
	check_child(orphan);
	expect_no_child();
	pass();
}
