// SPDX-License-Identifier: GPL-2.0-only
// @skip-mode pipe criu has its terminal as standard input, which is the pipe here
// A root that leads a group but no session, below the session of an outside shell (--shell-job), with a session in its tree.
// @needs tty
// @options --shell-job
// @peer-may-differ (proc/\d+/)?stat/tpgid the peer makes the root's group the terminal's foreground one
#include "tree.h"

static void member(void *arg)
{
	pid_t session = getsid(0);
	(void)arg;
	arrive_and_wait();
	expect("session", session, getsid(0));
}

static void leader(void *arg)
{
	(void)arg;
	must(setsid());
	pid_t child = start_child(member, NULL);
	arrive_and_wait();
	expect("session", getpid(), getsid(0));
	expect("session of the child", getpid(), getsid(child));
	check_child(child);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must(setpgid(0, 0));
	pid_t child = start_child(leader, NULL);
	ready();
	wait_for_trigger();
	expect("group", getpid(), getpgrp());
	must_be(getsid(0) != getpid());
	check_child(child);
	pass();
}
