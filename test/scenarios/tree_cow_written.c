// SPDX-License-Identifier: GPL-2.0-only
// @stream
// @memory
// @mapped
// @skip-mode lazy pages that come one by one aren't shared, with CRIU neither
// @skip-mode lazy-peer pages that come one by one aren't shared, with CRIU neither
// Memory inherited by fork and written in part: the children each have the pages that they wrote for themselves and
// the others in common, with at most five in a hundred more physical pages than before.
#include "pages.h"

enum { PAGES = 1000, N = 3 };
static unsigned char *map;

// Page i as process number n has it: 0 for the common one.
static int version(int i, int n)
{
	return n > 0 && i % 10 == n ? n : 0;
}

static void check(int n)
{
	for (int i = 0; i < PAGES; i++) {
		expect("version of the page", version(i, n), map[i * PAGE]);
		expect("number of the page", i % 251, map[i * PAGE + PAGE - 1]);
	}
}

static void set(int n)
{
	for (int i = 0; i < PAGES; i++)
		if (version(i, n))
			map[i * PAGE] = version(i, n);
}

static void run(void *arg)
{
	set((int)(long)arg);
	arrive_and_wait();
	check((int)(long)arg);
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	map = must(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(madvise(map, PAGES * PAGE, MADV_NOHUGEPAGE));
	for (int i = 0; i < PAGES; i++)
		map[i * PAGE + PAGE - 1] = i % 251;
	pid_t pids[N + 1] = { getpid() };
	for (long n = 1; n <= N; n++)
		pids[n] = start_child(run, (void *)n);
	set(0);
	struct frames before = { 0 }, after = { 0 };
	for (int n = 0; n <= N; n++)
		add_frames(&before, pids[n], map, PAGES);
	expect("different pages before", PAGES + N * PAGES / 10, count_frames(&before));
	ready();
	wait_for_trigger();
	for (int n = 0; n <= N; n++)
		add_frames(&after, pids[n], map, PAGES);
	expect("pages in all", before.count, after.count);
	expect_still_shared(count_frames(&before), count_frames(&after));
	check(0);
	for (int n = 1; n <= N; n++)
		check_child(pids[n]);
	check(0);
	pass();
}
