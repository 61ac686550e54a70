// SPDX-License-Identifier: GPL-2.0-only
// A program that is to die with its parent doesn't die with the criu that has restored it and ends.
// @skip-peer CRIU 4.1.1 has it killed by the end of its own restore
#include "scenario.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
	ready();
	wait_for_trigger();
	pass();
}
