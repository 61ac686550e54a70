// SPDX-License-Identifier: GPL-2.0-only
// A daemon made by fork, setsid and fork again: in a session without a leader, never able to get a terminal, adopted.
// @skip-peer CRIU 4.1.1 can rebuild such a session only below the init of a pid namespace
#include "tree.h"

static void daemon_itself(void *arg)
{
	(void)arg;
	must(chdir("/"));
	umask(027);
	pid_t session = getsid(0);
	must_be(session != getpid() && session != root_pid);
	arrive_and_wait();
	expect("session", session, getsid(0));
	expect("group", session, getpgrp());
	expect("parent", root_pid, getppid());
	expect("umask", 027, umask(0));
}

static void middle(void *arg)
{
	(void)arg;
	must(setsid());
	arrive_with(start_child(daemon_itself, NULL));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t gone = start_child(middle, NULL), daemon_pid = arrived_value;
	expect_exit(gone, 0);
	ready();
	wait_for_trigger();
	expect("session", gone, getsid(daemon_pid));
	check_child(daemon_pid);
	expect_no_child();
	pass();
}
