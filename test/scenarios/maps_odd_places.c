// SPDX-License-Identifier: GPL-2.0-only
// Mappings below 4 GiB (MAP_32BIT), at the lowest and at the highest addresses for user space stay where they are.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *low = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, flags | MAP_32BIT, -1, 0));
	must_be((uintptr_t)low < 1UL << 31);
	char *lowest = must(mmap((void *)0x10000, PAGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, -1, 0));
	char *high = (char *)0x7ffffffff000UL - 16 * PAGE;
	if (mmap(high, 16 * PAGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, -1, 0) != high)
		high = NULL;
	char *island = (char *)0x123456789000UL;
	must_be(mmap(island, PAGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, -1, 0) == island);
	fill(low, PAGE, 1);
	fill(lowest, PAGE, 2);
	fill(island, PAGE, 3);
	if (high)
		fill(high + 15 * PAGE, PAGE, 4);
	ready();
	wait_for_trigger();
	expect_fill("below 2 GiB", low, PAGE, 1);
	expect_fill("lowest", lowest, PAGE, 2);
	expect_fill("island", island, PAGE, 3);
	if (high)
		expect_fill("highest", high + 15 * PAGE, PAGE, 4);
	pass();
}
