// SPDX-License-Identifier: GPL-2.0-only
// A child blocked in waitid for the children of a group goes on to wait, and is told of the end.
#include "tree.h"

static void waiter(void *arg)
{
	(void)arg;
	pid_t child = start_sleeper();
	must(setpgid(child, child));
	int status = 0;
	siginfo_t info = { 0 };
	(void)info;
	(void)status;
	arrive_with(child);
	must(waitid(P_PGID, child, &info, WEXITED));
	expect("si_pid", child, info.si_pid);
	expect("si_status", SIGKILL, info.si_status);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(waiter, NULL), grandchild = arrived_value;
	await_asleep(child);
	ready();
	wait_for_trigger();
	must_be(state_letter(child) == 'S');
	must(kill(grandchild, SIGKILL));
	expect_exit(child, 0);
	pass();
}
