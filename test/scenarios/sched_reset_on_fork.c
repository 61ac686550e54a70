// SPDX-License-Identifier: GPL-2.0-only
// The scheduling flag that children start with an ordinary policy: kept with SCHED_RR, and a child obeys it.
#include "scenario.h"
#include <sched.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sched_param param = { .sched_priority = 4 };
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) < 0)
		skip("SCHED_RESET_ON_FORK: %s", strerror(errno));
	ready();
	wait_for_trigger();
	expect("policy", SCHED_RR | SCHED_RESET_ON_FORK, sched_getscheduler(0));
	pid_t child = must(fork());
	if (child == 0)
		_exit(sched_getscheduler(0));
	int status;
	must_be(waitpid(child, &status, 0) == child);
	expect("policy of a child", SCHED_OTHER, WEXITSTATUS(status));
	pass();
}
