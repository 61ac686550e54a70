// SPDX-License-Identifier: GPL-2.0-only
// One shared anonymous memory seen differently: the parent has a hole in it, a child another part of it elsewhere (mremap)
// and read-only, another child it twice.
#include "tree.h"

enum { PAGES = 64 };
static char *map;

static void moved(void *arg)
{
	(void)arg;
	char *there = must(mmap(NULL, 128 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	there = must(mremap(map + 16 * PAGE, 16 * PAGE, 16 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there + 30 * PAGE));
	must(munmap(map, 16 * PAGE));
	must(munmap(map + 32 * PAGE, 32 * PAGE));
	must(mprotect(there, 8 * PAGE, PROT_READ));
	arrive_and_wait();
	for (int i = 0; i < 16; i++)
		expect("number of the page", 16 + i, there[i * PAGE]);
	expect("write of the root", 101, there[PAGE + 1]);
	there[12 * PAGE + 1] = 102;
}

static void twice(void *arg)
{
	(void)arg;
	char *second = must(mremap(map + 8 * PAGE, 0, 32 * PAGE, MREMAP_MAYMOVE));
	arrive_and_wait();
	for (int i = 0; i < PAGES; i++)
		expect("number of the page", i, map[i * PAGE]);
	for (int i = 0; i < 32; i++)
		expect("number of the page in the second view", 8 + i, second[i * PAGE]);
	expect("write of the other child", 102, second[20 * PAGE + 1]);
	map[9 * PAGE + 1] = 103;
	expect("write through the other view", 103, second[PAGE + 1]);
	map[48 * PAGE + 1] = 104;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	map = shared_memory(PAGES * PAGE);
	for (int i = 0; i < PAGES; i++)
		map[i * PAGE] = i;
	pid_t children[2] = { start_child(moved, NULL), start_child(twice, NULL) };
	must(munmap(map + 24 * PAGE, 16 * PAGE));
	ready();
	wait_for_trigger();
	for (int i = 0; i < 24; i++)
		expect("number of the page", i, map[i * PAGE]);
	map[17 * PAGE + 1] = 101;
	check_child(children[0]);
	check_child(children[1]);
	expect("write of the second child", 103, map[9 * PAGE + 1]);
	expect("write of the second child behind the hole", 104, map[48 * PAGE + 1]);
	pass();
}
