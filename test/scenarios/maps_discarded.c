// SPDX-License-Identifier: GPL-2.0-only
// @memory
// @mapped
// Pages given back by MADV_DONTNEED, MADV_FREE and MADV_REMOVE read as zeroes (or as before, for MADV_FREE); neighbours are intact.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	char *at = must(mmap(NULL, 30 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	char *shared = must(mmap(NULL, 30 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	for (int i = 0; i < 30; i++) {
		fill(at + i * PAGE, PAGE, i);
		fill(shared + i * PAGE, PAGE, 100 + i);
	}
	must(madvise(at + 5 * PAGE, 5 * PAGE, MADV_DONTNEED));
	must(madvise(at + 15 * PAGE, 5 * PAGE, MADV_FREE));
	must(madvise(shared + 10 * PAGE, 5 * PAGE, MADV_REMOVE));
	static char zero[PAGE];
	ready();
	wait_for_trigger();
	for (int i = 0; i < 30; i++) {
		if (i >= 15 && i < 20) {
			if (memcmp(at + i * PAGE, zero, PAGE))
				expect_fill("page freed lazily", at + i * PAGE, PAGE, i);
		} else if (i >= 5 && i < 10) {
			expect_bytes("page given back", zero, at + i * PAGE, PAGE);
		} else {
			expect_fill("private page", at + i * PAGE, PAGE, i);
		}
		if (i >= 10 && i < 15)
			expect_bytes("page punched out", zero, shared + i * PAGE, PAGE);
		else
			expect_fill("shared page", shared + i * PAGE, PAGE, 100 + i);
	}
	pass();
}
