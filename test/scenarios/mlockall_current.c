// SPDX-License-Identifier: GPL-2.0-only
// mlockall(MCL_CURRENT): all mappings of that moment stay locked, later ones aren't.
#include "scenario.h"
#include <sys/resource.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (mlockall(MCL_CURRENT) < 0)
		skip("mlockall: %s", strerror(errno));
	char *later = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(later, 4 * PAGE, 2);
	ready();
	wait_for_trigger();
	expect_fill("later mapping", later, 4 * PAGE, 2);
	must(munlockall());
	pass();
}
