// SPDX-License-Identifier: GPL-2.0-only
// A child blocked in wait4 for any of its children goes on to wait, and gets the exit code when one ends.
#include "tree.h"

static void waiter(void *arg)
{
	(void)arg;
	pid_t child = start_sleeper();
	
	int status = 0;
	siginfo_t info = { 0 };
	(void)info;
	(void)status;
	arrive_with(child);
	expect("what wait4 gave", child, wait4(-1, &status, 0, NULL));
	expect("wait status", 0, status);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(waiter, NULL), grandchild = arrived_value;
	await_asleep(child);
	ready();
	wait_for_trigger();
	must_be(state_letter(child) == 'S');
	must(kill(grandchild, SIGUSR1));
	expect_exit(child, 0);
	pass();
}
