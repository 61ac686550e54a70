// SPDX-License-Identifier: GPL-2.0-only
// @memory
// MAP_GROWSDOWN mappings, some grown by touch, keep their data and can still grow.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	size_t room = 1024 * PAGE; // the kernel keeps a gap of 256 pages below
	char *area = must(mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(munmap(area, room));
	char *low = area + 900 * PAGE;
	must_be(mmap(low, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0) == low);
	low[0] = 1;
	low[-1] = 2; // grows by a page
	char *split = area + 400 * PAGE;
	must_be(mmap(split, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0) == split);
	for (int i = 0; i < 3; i++)
		split[i * PAGE] = 10 + i;
	must(mprotect(split + PAGE, PAGE, PROT_READ));
	ready();
	wait_for_trigger();
	expect("first page", 1, low[0]);
	expect("grown page", 2, low[-1]);
	for (int i = 0; i < 3; i++)
		expect("page of the split mapping", 10 + i, split[i * PAGE]);
	low[-PAGE - 5] = 3;
	expect("page grown after the restore", 3, low[-PAGE - 5]);
	split[-1] = 4;
	expect("page grown below the split mapping", 4, split[-1]);
	pass();
}
