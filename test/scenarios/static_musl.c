// SPDX-License-Identifier: GPL-2.0-only
// A program linked statically with musl.
// @needs musl
// @compiler musl-gcc
// @cflags -static
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *heap = malloc(300000);
	fill(heap, 300000, 5);
	ready();
	wait_for_trigger();
	expect_fill("heap", heap, 300000, 5);
	pass();
}
