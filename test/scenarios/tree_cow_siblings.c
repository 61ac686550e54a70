// SPDX-License-Identifier: GPL-2.0-only
// Memory that two children share since the fork, but their parent has unmapped: at most five in a hundred more physical
// pages than before.
// @skip-ours pages are kept shared with the maker only
// @skip-peer CRIU 4.1.1 shares pages only with the parent
#include "pages.h"

enum { PAGES = 1000 };
static char *map;

static void run(void *arg)
{
	(void)arg;
	arrive_and_wait();
	expect_fill("inherited data", map, PAGES * PAGE, 3);
	map[0] = 1;
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	map = must(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(madvise(map, PAGES * PAGE, MADV_NOHUGEPAGE));
	fill(map, PAGES * PAGE, 3);
	pid_t pids[2] = { start_child(run, NULL), start_child(run, NULL) };
	must(munmap(map, PAGES * PAGE));
	struct frames before = { 0 }, after = { 0 };
	for (int i = 0; i < 2; i++)
		add_frames(&before, pids[i], map, PAGES);
	expect("different pages before", PAGES, count_frames(&before));
	ready();
	wait_for_trigger();
	for (int i = 0; i < 2; i++)
		add_frames(&after, pids[i], map, PAGES);
	expect_still_shared(PAGES, count_frames(&after));
	for (int i = 0; i < 2; i++)
		check_child(pids[i]);
	pass();
}
