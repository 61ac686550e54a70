// SPDX-License-Identifier: GPL-2.0-only
// A statically linked position-independent program.
// @cflags -static-pie -fPIE
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *heap = malloc(30000);
	fill(heap, 30000, 5);
	ready();
	wait_for_trigger();
	expect_fill("heap", heap, 30000, 5);
	pass();
}
