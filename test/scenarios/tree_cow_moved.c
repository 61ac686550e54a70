// SPDX-License-Identifier: GPL-2.0-only
// Memory that a child shares with its parent since the fork, moved elsewhere by mremap in the child, split there and partly
// protected: at most five in a hundred more physical pages than before.
// @skip-ours pages are kept shared at equal addresses only
// @skip-peer CRIU 4.1.1 shares pages only at equal addresses
#include "pages.h"

enum { PAGES = 1000 };
static char *map;

static void run(void *arg)
{
	char *there = arg;
	must(mremap(map, PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there));
	must(mprotect(there + 100 * PAGE, 300 * PAGE, PROT_READ));
	arrive_and_wait();
	expect_fill("moved data", there, PAGES * PAGE, 3);
	there[0] = 1;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	char *room = must(mmap(NULL, 4 * PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	map = must(mmap(room, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	char *there = room + 2 * PAGES * PAGE;
	must(madvise(map, PAGES * PAGE, MADV_NOHUGEPAGE));
	fill(map, PAGES * PAGE, 3);
	pid_t child = start_child(run, there);
	struct frames before = { 0 }, after = { 0 };
	add_frames(&before, child, there, PAGES);
	add_frames(&before, getpid(), map, PAGES);
	expect("different pages before", PAGES, count_frames(&before));
	ready();
	wait_for_trigger();
	add_frames(&after, child, there, PAGES);
	add_frames(&after, getpid(), map, PAGES);
	expect_still_shared(PAGES, count_frames(&after));
	expect_fill("own data", map, PAGES * PAGE, 3);
	check_child(child);
	expect_fill("own data after the child's write", map, PAGES * PAGE, 3);
	pass();
}
