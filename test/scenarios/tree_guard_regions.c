// SPDX-License-Identifier: GPL-2.0-only
// @memory
// A child with other guard regions (MADV_GUARD_INSTALL) than its parent has in the same mapping.
// @skip-peer CRIU 4.1.1 knows no guard regions: its dump fails on them
#include "tree.h"
#include <setjmp.h>
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

enum { PAGES = 10 };
static char *at;
static sigjmp_buf back;

static void on_fault(int sig) { siglongjmp(back, sig); }

static int faults(volatile char *page)
{
	if (sigsetjmp(back, 1))
		return 1;
	*page = *page;
	return 0;
}

// `guarded` has a letter for each page: g for guarded, o for the parent's old content, c for the child's.
static void check(const char *who, const char *guarded)
{
	for (int page = 0; page < PAGES; page++) {
		char what[64];
		snprintf(what, sizeof(what), "%s: page %d is guarded", who, page);
		expect(what, guarded[page] == 'g', faults(at + page * PAGE));
		if (guarded[page] != 'g')
			expect_fill(what, at + page * PAGE, PAGE, guarded[page] * 100 + page);
	}
}

static void child(void *arg)
{
	(void)arg;
	must(madvise(at + 3 * PAGE, 2 * PAGE, MADV_GUARD_REMOVE));
	for (int page = 3; page < 5; page++)
		fill(at + page * PAGE, PAGE, 'c' * 100 + page);
	must(madvise(at + 8 * PAGE, PAGE, MADV_GUARD_INSTALL));
	arrive_and_wait();
	check("child", "goocc" "ooggo");
}

int main(int argc, char **argv)
{
	tree_start(argc, argv);
	at = must(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (int page = 0; page < PAGES; page++)
		fill(at + page * PAGE, PAGE, 'o' * 100 + page);
	if (madvise(at, PAGE, MADV_GUARD_INSTALL) < 0)
		skip("MADV_GUARD_INSTALL: %s", strerror(errno));
	must(madvise(at + 3 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL));
	must(madvise(at + 7 * PAGE, PAGE, MADV_GUARD_INSTALL));
	must_be(signal(SIGSEGV, on_fault) != SIG_ERR);
	pid_t pid = start_child(child, NULL);
	ready();
	wait_for_trigger();
	check("parent", "googg" "oogoo");
	check_child(pid);
	pass();
}
