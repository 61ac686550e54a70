// SPDX-License-Identifier: GPL-2.0-only
// A zombie that leads a process group whose other members live.
#include "tree.h"

static void join(void *arg)
{
	pid_t group = *(pid_t *)arg;
	must(setpgid(0, group));
	arrive_and_wait();
	expect("group", group, getpgrp());
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t leader = start_sleeper();
	must(setpgid(leader, leader));
	pid_t members[2];
	for (int i = 0; i < 2; i++)
		members[i] = start_child(join, &leader);
	must(kill(leader, SIGKILL));
	await_zombie(leader);
	ready();
	wait_for_trigger();
	expect("group of the zombie", leader, getpgid(leader));
	for (int i = 0; i < 2; i++)
		expect("group of a member", leader, getpgid(members[i]));
	expect_killed(leader, SIGKILL);
	for (int i = 0; i < 2; i++)
		check_child(members[i]);
	expect_no_child();
	pass();
}
