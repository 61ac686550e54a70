// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a zombie child, and the program goes on unharmed.
// @expect refused CHILDREN
#include "scenario.h"
#include <sys/wait.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pid_t child = must(fork());
	if (child == 0)
		_exit(7);
	siginfo_t info;
	must(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
	ready();
	wait_for_trigger();
	int status;
	must_be(waitpid(child, &status, 0) == child);
	expect("status", 7, WEXITSTATUS(status));
	pass();
}
