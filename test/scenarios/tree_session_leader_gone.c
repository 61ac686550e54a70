// SPDX-License-Identifier: GPL-2.0-only
// A session whose leader has ended and been reaped: two processes are left in it, one of them leading a group, both adopted
// by the root, and a grandchild below.
// @skip-peer CRIU 4.1.1 can rebuild such a session only below the init of a pid namespace
#include "tree.h"

static void member(void *arg)
{
	long kind = (long)arg;
	if (kind == 1)
		must(setpgid(0, 0));
	pid_t session = getsid(0), group = getpgrp(), child = kind == 1 ? start_child(member, (void *)2L) : 0;
	arrive_and_wait();
	expect("session", session, getsid(0));
	expect("group", group, getpgrp());
	if (kind < 2)
		expect("parent", root_pid, getppid());
	if (child)
		check_child(child);
}

static void leader(void *arg)
{
	pid_t *members = arg;
	must(setsid());
	for (long i = 0; i < 2; i++)
		members[i] = start_child(member, (void *)i);
	arrive();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid_t *members = shared_memory(PAGE), gone = start_child(leader, members);
	expect_exit(gone, 0);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 2; i++) {
		expect("session", gone, getsid(members[i]));
		check_child(members[i]);
	}
	expect_no_child();
	pass();
}
