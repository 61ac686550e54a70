// SPDX-License-Identifier: GPL-2.0-only
// Memory inherited by fork that nobody has written since stays shared with three children and a grandchild: at most five in
// a hundred more physical pages than before; a write by one is still nobody else's.
#include "pages.h"

enum { PAGES = 2000, N = 3 };
static char *map;

static void run(void *arg)
{
	pid_t child = arg ? start_child(run, NULL) : 0;
	arrive_with(child);
	wait_for_check();
	expect_fill("inherited data", map, PAGES * PAGE, 9);
	memset(map, 1, 100 * PAGE);
	if (child)
		check_child(child);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	map = must(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(madvise(map, PAGES * PAGE, MADV_NOHUGEPAGE));
	fill(map, PAGES * PAGE, 9);
	pid_t pids[N + 2] = { getpid() };
	for (int i = 0; i < N; i++) {
		pids[1 + i] = start_child(run, i == 0 ? map : NULL);
		if (i == 0)
			pids[N + 1] = arrived_value;
	}
	struct frames before = { 0 }, after = { 0 };
	for (int i = 0; i < N + 2; i++)
		add_frames(&before, pids[i], map, PAGES);
	expect("different pages before", PAGES, count_frames(&before));
	ready();
	wait_for_trigger();
	for (int i = 0; i < N + 2; i++)
		add_frames(&after, pids[i], map, PAGES);
	expect("pages in all", before.count, after.count);
	expect_still_shared(PAGES, count_frames(&after));
	expect_fill("own data", map, PAGES * PAGE, 9);
	for (int i = 0; i < N; i++)
		check_child(pids[1 + i]);
	expect_fill("own data after writes of the others", map, PAGES * PAGE, 9);
	pass();
}
