// SPDX-License-Identifier: GPL-2.0-only
// A stack of nearly 8 MiB, deep in recursion at the dump, unwinds with all its data.
#include "scenario.h"

static unsigned long descend(int depth)
{
	volatile unsigned long block[1000];
	for (int i = 0; i < 1000; i++)
		block[i] = (unsigned long)depth * 1000 + i;
	unsigned long below = 0;
	if (depth > 0) {
		below = descend(depth - 1);
	} else {
		ready();
		wait_for_trigger();
	}
	for (int i = 0; i < 1000; i++)
		if (block[i] != (unsigned long)depth * 1000 + i)
			fail("stack word %d at depth %d, wanted %lu, got %lu", i, depth, (unsigned long)depth * 1000 + i, block[i]);
	return below + block[999];
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	unsigned long want = 0;
	for (unsigned long d = 0; d <= 960; d++)
		want += d * 1000 + 999;
	expect("sum over the stack", want, descend(960));
	pass();
}
