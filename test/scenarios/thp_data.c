// SPDX-License-Identifier: GPL-2.0-only
// @memory
// A range that the kernel backs by transparent huge pages keeps advice and data, also where a part of it was given back.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	size_t huge = 2 << 20, size = 4 * huge;
	char *area = must(mmap(NULL, size + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	char *at = (char *)(((uintptr_t)area + huge - 1) & ~(huge - 1));
	if (madvise(at, size, MADV_HUGEPAGE) < 0)
		skip("MADV_HUGEPAGE: %s", strerror(errno));
	fill(at, size, 5);
	must(madvise(at + huge + 3 * PAGE, 7 * PAGE, MADV_DONTNEED));
	char *wanted = must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(wanted, size, 5);
	memset(wanted + huge + 3 * PAGE, 0, 7 * PAGE);
	ready();
	wait_for_trigger();
	expect_bytes("huge range", wanted, at, size);
	pass();
}
