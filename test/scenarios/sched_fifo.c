// SPDX-License-Identifier: GPL-2.0-only
// The scheduling class SCHED_FIFO with its priority.
#include "scenario.h"
#include <sched.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sched_param param = { .sched_priority = 7 };
	if (sched_setscheduler(0, SCHED_FIFO, &param) < 0)
		skip("SCHED_FIFO: %s", strerror(errno));
	ready();
	wait_for_trigger();
	expect("policy", SCHED_FIFO, sched_getscheduler(0));
	must(sched_getparam(0, &param));
	expect("priority", 7, param.sched_priority);
	pass();
}
