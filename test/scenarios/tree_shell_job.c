// SPDX-License-Identifier: GPL-2.0-only
// @skip-mode pipe criu has its terminal as standard input, which is the pipe here
// A tree below the session of an outside shell (--shell-job): the children are in the session that criu restores it into,
// and keep the groups that they lead.
// @needs tty
// @options --shell-job
#include "tree.h"

static void run(void *arg)
{
	pid_t group = *(pid_t *)arg;
	if (group >= 0)
		must(setpgid(0, group));
	group = getpgrp();
	int has_own = group != getpgid(root_pid);
	arrive_and_wait();
	expect("session", getsid(root_pid), getsid(0));
	if (has_own)
		expect("group", group, getpgrp());
	else
		expect("group of the root", getpgid(root_pid), getpgrp());
	must_be(isatty(0));
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	must_be(isatty(0) && getsid(0) != getpid());
	pid_t none = -1, own = 0, children[3];
	children[0] = start_child(run, &none);
	children[1] = start_child(run, &own);
	children[2] = start_child(run, &children[1]);
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++)
		check_child(children[i]);
	pass();
}
