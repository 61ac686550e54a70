// SPDX-License-Identifier: GPL-2.0-only
// A child that leads a session, with children in it: one in the leader's group, one leading a group, one in that group.
#include "tree.h"

static void member(void *arg)
{
	pid_t group = *(pid_t *)arg, session = getsid(0);
	if (group >= 0)
		must(setpgid(0, group));
	group = getpgrp();
	arrive_and_wait();
	expect("session", session, getsid(0));
	expect("group", group, getpgrp());
	expect("parent", session, getppid());
}

static void leader(void *arg)
{
	(void)arg;
	must(setsid());
	pid_t none = -1, own = 0, members[3];
	members[0] = start_child(member, &none);
	members[1] = start_child(member, &own);
	members[2] = start_child(member, &members[1]);
	arrive_and_wait();
	expect("session", getpid(), getsid(0));
	expect("group", getpid(), getpgrp());
	for (int i = 0; i < 3; i++)
		expect("session of a member", getpid(), getsid(members[i]));
	expect("group of the first", getpid(), getpgid(members[0]));
	expect("group of the second", members[1], getpgid(members[1]));
	expect("group of the third", members[1], getpgid(members[2]));
	for (int i = 0; i < 3; i++)
		check_child(members[i]);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t leaders[2] = { start_child(leader, NULL), start_child(leader, NULL) };
	ready();
	wait_for_trigger();
	for (int i = 0; i < 2; i++)
		check_child(leaders[i]);
	pass();
}
