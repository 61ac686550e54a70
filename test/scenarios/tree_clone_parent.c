// SPDX-License-Identifier: GPL-2.0-only
// Siblings made by CLONE_PARENT: children of the root, forked by another of its children.
#include "tree.h"

static void sibling(void *arg)
{
	(void)arg;
	arrive_and_wait();
	expect("parent", root_pid, getppid());
	_exit(21);
}

static void run(void *arg)
{
	(void)arg;
	arrive_with(start_child_by(CLONE_PARENT | SIGCHLD, sibling, NULL));
	wait_for_check();
	expect("parent", root_pid, getppid());
	expect_no_child();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t children[3], siblings[3];
	for (int i = 0; i < 3; i++) {
		children[i] = start_child(run, NULL);
		siblings[i] = arrived_value;
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++) {
		must(kill(siblings[i], SIGUSR1));
		expect_exit(siblings[i], 21);
		check_child(children[i]);
	}
	expect_no_child();
	pass();
}
