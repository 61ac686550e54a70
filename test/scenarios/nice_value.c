// SPDX-License-Identifier: GPL-2.0-only
// The nice value, also one below zero.
#include "scenario.h"
#include <sys/resource.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(setpriority(PRIO_PROCESS, 0, -7));
	ready();
	wait_for_trigger();
	errno = 0;
	expect("nice", -7, getpriority(PRIO_PROCESS, 0));
	pass();
}
