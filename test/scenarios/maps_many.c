// SPDX-License-Identifier: GPL-2.0-only
// 2,000 mappings with gaps between them, each with data of its own.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	enum { N = 2000 };
	char *area = must(mmap(NULL, 2 * N * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(munmap(area, 2 * N * PAGE));
	for (long i = 0; i < N; i++) {
		long *at = must(mmap(area + 2 * i * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		*at = i * i + 1;
	}
	ready();
	wait_for_trigger();
	for (long i = 0; i < N; i++)
		expect("mapping's number", i * i + 1, *(long *)(area + 2 * i * PAGE));
	pass();
}
