// SPDX-License-Identifier: GPL-2.0-only
// PR_SET_THP_DISABLE stays set and leaves no advice behind on mappings.
#include "scenario.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *at = must(mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(at, 4 << 20, 6);
	must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	ready();
	wait_for_trigger();
	expect("THP disable", 1, prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	expect_fill("data", at, 4 << 20, 6);
	pass();
}
