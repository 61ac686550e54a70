// SPDX-License-Identifier: GPL-2.0-only
// A statically linked program.
// @cflags -static
#include "scenario.h"

static char data[100000];

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	fill(data, sizeof(data), 4);
	char *heap = malloc(300000);
	fill(heap, 300000, 5);
	ready();
	wait_for_trigger();
	expect_fill("data segment", data, sizeof(data), 4);
	expect_fill("heap", heap, 300000, 5);
	pass();
}
