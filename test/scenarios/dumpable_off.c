// SPDX-License-Identifier: GPL-2.0-only
// The dumpable attribute, set to 0.
#include "scenario.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	ready();
	wait_for_trigger();
	expect("dumpable", 0, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	pass();
}
