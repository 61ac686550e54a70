// SPDX-License-Identifier: GPL-2.0-only
// The signal asked for at the death of the parent.
#include "scenario.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0));
	signal(SIGUSR2, SIG_IGN);
	ready();
	wait_for_trigger();
	int sig = -1;
	must(prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0));
	expect("signal", SIGUSR2, sig);
	pass();
}
