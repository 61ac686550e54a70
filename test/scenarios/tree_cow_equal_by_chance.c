// SPDX-License-Identifier: GPL-2.0-only
// Pages that parent and child wrote with the same bytes after the fork: whether shared or not after the restore, they're
// private to each.
#include "tree.h"

enum { PAGES = 50 };
static char *map;

static void run(void *arg)
{
	(void)arg;
	memset(map, 5, PAGES * PAGE);
	arrive_and_wait();
	for (int i = 0; i < PAGES; i++)
		expect("byte", 5, map[i * PAGE + i]);
	memset(map, 6, PAGES * PAGE);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	map = must(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(map, 4, PAGES * PAGE);
	pid_t child = start_child(run, NULL);
	memset(map, 5, PAGES * PAGE);
	ready();
	wait_for_trigger();
	check_child(child);
	for (int i = 0; i < PAGES; i++)
		expect("byte", 5, map[i * PAGE + i]);
	pass();
}
