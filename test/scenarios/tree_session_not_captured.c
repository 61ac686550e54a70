// SPDX-License-Identifier: GPL-2.0-only
// S leads a session; a process of it is the root's child, adopted before S became a subreaper: it must not become S's child
// while sessions are rebuilt.
// @skip-peer CRIU 4.1.1 can rebuild such a session only below the init of a pid namespace
#include "tree.h"

static void orphan(void *arg)
{
	pid_t session = getsid(0);
	(void)arg;
	arrive_and_wait();
	expect("parent", root_pid, getppid());
	expect("session", session, getsid(0));
}

static void helper(void *arg)
{
	(void)arg;
	arrive_with(start_child(orphan, NULL));
}

static void leader(void *arg)
{
	(void)arg;
	must(setsid());
	pid_t middle = start_child(helper, NULL), pid = arrived_value;
	expect_exit(middle, 0);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	arrive_with(pid);
	wait_for_check();
	int flag = 0;
	must(prctl(PR_GET_CHILD_SUBREAPER, &flag, 0, 0, 0));
	expect("subreaper", 1, flag);
	expect("session of the orphan", getpid(), getsid(pid));
	expect_no_child();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t child = start_child(leader, NULL), adopted = arrived_value;
	ready();
	wait_for_trigger();
	expect("wait while they live", 0, waitpid(-1, NULL, WNOHANG));
	check_child(child);
	check_child(adopted);
	expect_no_child();
	pass();
}
