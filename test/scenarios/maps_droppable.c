// SPDX-License-Identifier: GPL-2.0-only
// A MAP_DROPPABLE mapping stays one; its content may be lost at any time, so either old data or zeroes are right.
// @skip-peer CRIU 4.1.1 does not know MAP_DROPPABLE
#include "scenario.h"
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		skip("MAP_DROPPABLE: %s", strerror(errno));
	memset(at, 'd', 4 * PAGE);
	ready();
	wait_for_trigger();
	for (unsigned long i = 0; i < 4 * PAGE; i++)
		must_be(at[i] == 'd' || at[i] == 0);
	memset(at, 'e', 4 * PAGE);
	pass();
}
