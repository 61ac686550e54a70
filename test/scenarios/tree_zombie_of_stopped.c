// SPDX-License-Identifier: GPL-2.0-only
// A zombie below a stopped child, which takes its exit code once it's continued.
#include "tree.h"

static void run(void *arg)
{
	(void)arg;
	pid_t zombie = must(fork());
	if (zombie == 0)
		_exit(19);
	await_zombie(zombie);
	arrive();
	must(kill(getpid(), SIGSTOP));
	expect_exit(zombie, 19);
	expect_no_child();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(run, NULL);
	int status;
	expect("stopped child", child, waitpid(child, &status, WUNTRACED));
	ready();
	wait_for_trigger();
	expect("state", 'T', state_letter(child));
	must(kill(child, SIGCONT));
	expect_exit(child, 0);
	pass();
}
