// SPDX-License-Identifier: GPL-2.0-only
// Shared anonymous memory that the parent no longer maps but two of its children do, and pages that nobody maps any longer
// but that are part of it.
#include "tree.h"

enum { PAGES = 40 };
static char *map;

static void run(void *arg)
{
	long number = (long)arg;
	must(munmap(map + 30 * PAGE, 10 * PAGE));
	arrive_and_wait();
	expect_fill("data", map, 10 * PAGE, 6);
	map[20 * PAGE + number] = 50 + number;
	if (number == 1)
		expect("write of the sibling", 50, map[20 * PAGE]);
	char *all = must(mremap(map, 30 * PAGE, PAGES * PAGE, MREMAP_MAYMOVE));
	expect("page that nobody mapped", 7, all[35 * PAGE]);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	map = shared_memory(PAGES * PAGE);
	fill(map, 10 * PAGE, 6);
	map[35 * PAGE] = 7;
	pid_t children[2];
	for (long i = 0; i < 2; i++)
		children[i] = start_child(run, (void *)i);
	must(munmap(map, PAGES * PAGE));
	ready();
	wait_for_trigger();
	check_child(children[0]);
	check_child(children[1]);
	pass();
}
