// SPDX-License-Identifier: GPL-2.0-only
// no_new_privs stays set.
#include "scenario.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ready();
	wait_for_trigger();
	expect("no_new_privs", 1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	pass();
}
