// SPDX-License-Identifier: GPL-2.0-only
// @memory
// The heap grown by brk keeps its data and its break, and can grow and shrink further.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *start = sbrk(0);
	size_t size = 3 * 1024 * 1024 + 123;
	must_be(sbrk(size) == start);
	fill(start, size, 7);
	ready();
	wait_for_trigger();
	expect("break", (long)(start + size), (long)sbrk(0));
	expect_fill("heap", start, size, 7);
	must_be(sbrk(1 << 20) == start + size);
	memset(start + size, 1, 1 << 20);
	must_be(sbrk(-(2 << 20)) == start + size + (1 << 20));
	expect("break after shrinking", (long)(start + size - (1 << 20)), (long)sbrk(0));
	pass();
}
