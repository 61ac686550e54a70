// SPDX-License-Identifier: GPL-2.0-only
// Fork goes on after the restore: in the parent and in a child, with pids that nobody has yet.
#include "tree.h"

static void fork_twice(void)
{
	pid_t first = must(fork());
	if (first == 0) {
		if (getppid() == first)
			_exit(9);
		pid_t second = must(fork());
		if (second == 0)
			_exit(5);
		expect_exit(second, 5);
		_exit(6);
	}
	expect_exit(first, 6);
}

static void run(void *arg)
{
	(void)arg;
	arrive_and_wait();
	fork_twice();
	fork_twice();
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	fork_twice();
	pid_t late = start_sleeper();
	must_be(late != child && late != getpid());
	check_child(late);
	check_child(child);
	expect_no_child();
	pass();
}
