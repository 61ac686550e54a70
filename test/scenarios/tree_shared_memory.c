// SPDX-License-Identifier: GPL-2.0-only
// @memory
// Shared anonymous memory of parent, child and grandchild stays one: what one writes, all see.
#include "tree.h"

enum { SIZE = 300 * PAGE };
static unsigned char *map;

static void grandchild(void *arg)
{
	(void)arg;
	arrive_and_wait();
	expect("byte of the root", 11, map[5]);
	expect_fill("data", map + 100 * PAGE, 50 * PAGE, 4);
	map[250 * PAGE] = 13;
}

static void run(void *arg)
{
	(void)arg;
	pid_t child = start_child(grandchild, NULL);
	fill(map + 100 * PAGE, 50 * PAGE, 4);
	arrive_and_wait();
	check_child(child);
	expect("byte of the grandchild", 13, map[250 * PAGE]);
	map[299 * PAGE] = 12;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	map = shared_memory(SIZE);
	pid_t child = start_child(run, NULL);
	ready();
	wait_for_trigger();
	map[5] = 11;
	check_child(child);
	expect("byte of the child", 12, map[299 * PAGE]);
	expect("byte of the grandchild", 13, map[250 * PAGE]);
	expect("untouched byte", 0, map[200 * PAGE]);
	expect_fill("data of the child", map + 100 * PAGE, 50 * PAGE, 4);
	pass();
}
