// SPDX-License-Identifier: GPL-2.0-only
// Names given to anonymous mappings (PR_SET_VMA_ANON_NAME).
// @peer-may-differ maps/.*/path the original does not keep names of mappings
#include "scenario.h"
#include <sys/prctl.h>
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *at = must(mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(at, 6 * PAGE, 2);
	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, 2 * PAGE, "first name") < 0)
		skip("PR_SET_VMA_ANON_NAME: %s", strerror(errno));
	must(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at + 2 * PAGE, 2 * PAGE, "second"));
	ready();
	wait_for_trigger();
	expect_fill("data", at, 6 * PAGE, 2);
	pass();
}
