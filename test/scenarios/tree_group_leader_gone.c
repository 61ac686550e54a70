// SPDX-License-Identifier: GPL-2.0-only
// A process group whose leader has ended and been reaped: the members stay in it, and signals to it reach them.
#include "tree.h"

static volatile sig_atomic_t signals;
static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void join(void *arg)
{
	must(setpgid(0, *(pid_t *)arg));
	signal(SIGUSR2, on_signal);
	arrive_and_wait();
	expect("signals to the group", 1, signals);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t leader = start_sleeper();
	must(setpgid(leader, leader));
	pid_t members[3];
	for (int i = 0; i < 3; i++)
		members[i] = start_child(join, &leader);
	end_child(leader);
	ready();
	wait_for_trigger();
	expect("the leader", -1, kill(leader, 0));
	expect("its errno", ESRCH, errno);
	must(kill(-leader, SIGUSR2));
	for (int i = 0; i < 3; i++) {
		expect("group", leader, getpgid(members[i]));
		check_child(members[i]);
	}
	expect("the empty group", -1, kill(-leader, 0));
	pass();
}
