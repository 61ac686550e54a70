// SPDX-License-Identifier: GPL-2.0-only
// A mapping of a memfd whose descriptor is closed keeps name and content.
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(memfd_create("mapped", 0));
	must(ftruncate(fd, 2 * PAGE));
	char *at = must(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	close(fd);
	fill(at, 2 * PAGE, 2);
	ready();
	wait_for_trigger();
	expect_fill("memory", at, 2 * PAGE, 2);
	pass();
}
