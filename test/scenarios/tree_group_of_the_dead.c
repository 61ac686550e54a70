// SPDX-License-Identifier: GPL-2.0-only
// Groups only held by zombies: one of a dead leader alone, one of a dead member whose leader is gone.
#include "tree.h"

static void join(void *arg)
{
	must(setpgid(0, *(pid_t *)arg));
	arrive_and_wait();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t own = 0, alone = start_child(join, &own), gone = start_child(join, &own), member = start_child(join, &gone);
	must(kill(alone, SIGKILL));
	await_zombie(alone);
	must(kill(member, SIGKILL));
	await_zombie(member);
	end_child(gone);
	ready();
	wait_for_trigger();
	expect("group of the dead leader", alone, getpgid(alone));
	expect("group of the dead member", gone, getpgid(member));
	expect_killed(alone, SIGKILL);
	expect_killed(member, SIGKILL);
	expect_no_child();
	pass();
}
