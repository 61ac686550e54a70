// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a child process, and the program goes on unharmed.
// @expect refused CHILDREN
#include "scenario.h"
#include <sys/wait.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	pid_t child = must(fork());
	if (child == 0) {
		for (;;)
			pause();
	}
	ready();
	wait_for_trigger();
	must(kill(child, SIGKILL));
	int status;
	must_be(waitpid(child, &status, 0) == child);
	must_be(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	pass();
}
