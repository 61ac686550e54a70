// SPDX-License-Identifier: GPL-2.0-only
// Inherited pages that the child has thrown away (MADV_DONTNEED), unmapped or mapped anew: its parent's data must not shine
// through there.
#include "tree.h"

enum { PAGES = 40 };
static unsigned char *map;

static void run(void *arg)
{
	(void)arg;
	must(madvise(map, 10 * PAGE, MADV_DONTNEED));
	must(munmap(map + 10 * PAGE, 10 * PAGE));
	must(mmap(map + 20 * PAGE, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	arrive_and_wait();
	for (size_t i = 0; i < 10 * PAGE; i++)
		expect("byte thrown away", 0, map[i]);
	unsigned char there = 1;
	expect("what's unmapped", -1, mincore(map + 10 * PAGE, PAGE, &there));
	for (size_t i = 20 * PAGE; i < 30 * PAGE; i++)
		expect("byte mapped anew", 0, map[i]);
	for (size_t i = 30 * PAGE; i < 40 * PAGE; i++)
		expect("byte inherited", 8, map[i]);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	map = must(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(map, 8, PAGES * PAGE);
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	check_child(child);
	for (size_t i = 0; i < PAGES * PAGE; i++)
		expect("own byte", 8, map[i]);
	pass();
}
