// SPDX-License-Identifier: GPL-2.0-only
// Shared anonymous memory keeps its data, and two mappings of one object (one by mremap, one through map_files) stay one object.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	size_t size = 64 * PAGE;
	char *first = must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	fill(first, size / 2, 3);
	char *second = must(mremap(first + 8 * PAGE, 0, 16 * PAGE, MREMAP_MAYMOVE)); // old size 0: a second view
	char *other = must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	memset(other + 5 * PAGE, 9, PAGE);
	must(munmap(first + 40 * PAGE, 8 * PAGE)); // a hole in the middle
	char *wanted = must(mmap(NULL, size / 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(wanted, size / 2, 3);
	ready();
	wait_for_trigger();
	expect_bytes("first view", wanted, first, size / 2);
	expect_bytes("second view", wanted + 8 * PAGE, second, 16 * PAGE);
	expect("page of another object", 9, other[5 * PAGE + 17]);
	expect("untouched page", 0, other[6 * PAGE]);
	first[10 * PAGE] = 77;
	expect("second view after a write to the first", 77, second[2 * PAGE]);
	second[15 * PAGE + 1] = 78;
	expect("first view after a write to the second", 78, first[23 * PAGE + 1]);
	pass();
}
