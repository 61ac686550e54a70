// SPDX-License-Identifier: GPL-2.0-only
// A sleep until an absolute time an hour away goes on; it does not return early but for the trigger.
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct timespec until;
	must(clock_gettime(CLOCK_MONOTONIC, &until));
	until.tv_sec += 3600;
	ready();
	expect("result", EINTR, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
	expect("ended by the trigger", 1, scenario_triggered);
	pass();
}
