// SPDX-License-Identifier: GPL-2.0-only
// The timer slack, set to 123456 ns.
// @skip-peer the original does not keep the timer slack
#include "scenario.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0));
	ready();
	wait_for_trigger();
	expect("timer slack", 123456, prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	pass();
}
