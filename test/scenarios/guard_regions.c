// SPDX-License-Identifier: GPL-2.0-only
// @memory
// Guard regions (MADV_GUARD_INSTALL) go on faulting, the pages beside them keep their data.
// @skip-peer CRIU 4.1.1 knows no guard regions: its dump fails on them
#include "scenario.h"
#include <setjmp.h>
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static sigjmp_buf back;
static void on_fault(int sig)
{
	siglongjmp(back, sig);
}
static int faults(volatile char *at)
{
	if (sigsetjmp(back, 1))
		return 1;
	*at = *at;
	return 0;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *at = must(mmap(NULL, 12 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(at, 12 * PAGE, 8);
	const int guarded[] = { 0, 4, 5, 9, 11 };
	for (int i = 0; i < 5; i++)
		if (madvise(at + guarded[i] * PAGE, PAGE, MADV_GUARD_INSTALL) < 0)
			skip("MADV_GUARD_INSTALL: %s", strerror(errno));
	char *wanted = must(mmap(NULL, 12 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(wanted, 12 * PAGE, 8);
	struct sigaction act = { .sa_handler = on_fault };
	must(sigaction(SIGSEGV, &act, NULL));
	ready();
	wait_for_trigger();
	for (int page = 0; page < 12; page++) {
		int want = 0;
		for (int i = 0; i < 5; i++)
			want |= guarded[i] == page;
		char what[32];
		snprintf(what, sizeof(what), "page %d is guarded", page);
		expect(what, want, faults(at + page * PAGE));
		if (!want)
			expect_bytes(what, wanted + page * PAGE, at + page * PAGE, PAGE);
	}
	pass();
}
