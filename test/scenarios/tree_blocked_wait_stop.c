// SPDX-License-Identifier: GPL-2.0-only
// A child blocked in waitpid for stops (WUNTRACED) goes on to wait, and is told of a stop after the restore.
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
	expect("what waitpid gave", child, waitpid(child, &status, WUNTRACED));
	must_be(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	must(kill(child, SIGCONT));
	check_child(child);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(waiter, NULL), grandchild = arrived_value;
	await_asleep(child);
	ready();
	wait_for_trigger();
	must_be(state_letter(child) == 'S');
	must(kill(grandchild, SIGSTOP));
	expect_exit(child, 0);
	pass();
}
