// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a program whose memory is in use by another process too (CLONE_VM), and both go on unharmed.
// @expect refused CHILDREN
#include "scenario.h"
#include <sched.h>
#include <sys/wait.h>

static volatile int word = 1;
static int run(void *arg)
{
	(void)arg;
	while (word == 1)
		usleep(1000);
	return 5;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static char stack[65536] __attribute__((aligned(16)));
	pid_t child = must(clone(run, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL));
	ready();
	wait_for_trigger();
	word = 2;
	int status;
	must_be(waitpid(child, &status, 0) == child);
	expect("status", 5, WEXITSTATUS(status));
	pass();
}
