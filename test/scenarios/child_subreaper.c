// SPDX-License-Identifier: GPL-2.0-only
// The child-subreaper attribute.
#include "scenario.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	ready();
	wait_for_trigger();
	int flag = -1;
	must(prctl(PR_GET_CHILD_SUBREAPER, &flag, 0, 0, 0));
	expect("subreaper", 1, flag);
	pass();
}
