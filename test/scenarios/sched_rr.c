// SPDX-License-Identifier: GPL-2.0-only
// The real-time scheduling class SCHED_RR, its priority and the reset-on-fork flag.
#include "scenario.h"
#include <sched.h>
#include <sys/resource.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int policy = SCHED_RR | SCHED_RESET_ON_FORK;
	struct sched_param param = { .sched_priority = 3 };
	if (sched_setscheduler(0, policy, &param) < 0)
		skip("SCHED_RR: %s", strerror(errno));
	ready();
	wait_for_trigger();
	expect("policy", policy, sched_getscheduler(0));
	must(sched_getparam(0, &param));
	expect("priority", 3, param.sched_priority);
	pass();
}
