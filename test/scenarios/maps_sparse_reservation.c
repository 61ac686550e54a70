// SPDX-License-Identifier: GPL-2.0-only
// A reservation of 1 TiB (MAP_NORESERVE, no access) with a few touched islands and one page of 64 GiB of readable zeroes.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	size_t tib = 1UL << 40, gib = 1UL << 30;
	char *at = mmap(NULL, tib, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *zero = mmap(NULL, 64 * gib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED || zero == MAP_FAILED)
		skip("no room for a huge reservation: %s", strerror(errno));
	for (int i = 0; i < 8; i++) {
		must(mprotect(at + i * 100 * gib + PAGE, 3 * PAGE, PROT_READ | PROT_WRITE));
		fill(at + i * 100 * gib + 2 * PAGE, PAGE, i);
	}
	volatile char seen = zero[7 * gib]; // the zero page, not data
	(void)seen;
	zero[63 * gib + 5] = 42;
	ready();
	wait_for_trigger();
	for (int i = 0; i < 8; i++) {
		expect_fill("island", at + i * 100 * gib + 2 * PAGE, PAGE, i);
		expect("page beside the island", 0, at[i * 100 * gib + PAGE]);
	}
	expect("zero page", 0, zero[7 * gib]);
	expect("far byte", 42, zero[63 * gib + 5]);
	pass();
}
