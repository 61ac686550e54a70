// SPDX-License-Identifier: GPL-2.0-only
// A session leader keeps pid, session and group, and is nobody else's child than before.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pid_t pid = getpid(), parent = getppid();
	expect("session before", pid, getsid(0));
	ready();
	wait_for_trigger();
	expect("pid", pid, getpid());
	expect("tid", pid, syscall(SYS_gettid));
	expect("session", pid, getsid(0));
	expect("group", pid, getpgrp());
	expect("parent", parent, getppid());
	pass();
}
