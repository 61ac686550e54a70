// SPDX-License-Identifier: GPL-2.0-only
// A program bound to one CPU can be dumped and restored.
// @may-differ status/Cpus_allowed(_list)? the original keeps no affinity in its images, so it may come back or not
#include "scenario.h"
#include <sched.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	cpu_set_t set, got;
	must(sched_getaffinity(0, sizeof(set), &set));
	int last = -1;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			last = i;
	CPU_ZERO(&set);
	CPU_SET(last, &set);
	must(sched_setaffinity(0, sizeof(set), &set));
	ready();
	wait_for_trigger();
	must(sched_getaffinity(0, sizeof(got), &got));
	must_be(CPU_COUNT(&got) > 0);
	pass();
}
