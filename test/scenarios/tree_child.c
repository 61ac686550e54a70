// SPDX-License-Identifier: GPL-2.0-only
// A child keeps its pid, its parent, and the parent can wait for it.
#include "tree.h"

static void run(void *arg)
{
	pid_t self = getpid(), parent = getppid(), *known = arg;
	expect("parent before", root_pid, parent);
	arrive_and_wait();
	expect("pid", self, getpid());
	expect("tid", self, syscall(SYS_gettid));
	expect("parent", parent, getppid());
	expect("memory of the parent's past", 77, *known);
	expect("session", root_pid, getsid(0));
	expect("group", root_pid, getpgrp());
	_exit(42);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	int known = 77;
	pid_t child = start_child(run, &known);
	ready();
	wait_for_trigger();
	expect("wait while it lives", 0, waitpid(child, NULL, WNOHANG));
	must(kill(child, SIGUSR1));
	expect_exit(child, 42);
	expect_no_child();
	pass();
}
