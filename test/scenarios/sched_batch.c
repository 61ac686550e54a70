// SPDX-License-Identifier: GPL-2.0-only
// The scheduling class SCHED_BATCH with its priority.
#include "scenario.h"
#include <sched.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sched_param param = { .sched_priority = 0 };
	if (sched_setscheduler(0, SCHED_BATCH, &param) < 0)
		skip("SCHED_BATCH: %s", strerror(errno));
	ready();
	wait_for_trigger();
	expect("policy", SCHED_BATCH, sched_getscheduler(0));
	must(sched_getparam(0, &param));
	expect("priority", 0, param.sched_priority);
	pass();
}
