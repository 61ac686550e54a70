// SPDX-License-Identifier: GPL-2.0-only
// @memory
// MAP_HUGETLB memory, private and shared, keeps its data and stays huge.
// @needs hugetlb
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	size_t size = 4 << 20;
	char *private = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	char *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (private == MAP_FAILED || shared == MAP_FAILED)
		skip("MAP_HUGETLB: %s", strerror(errno));
	fill(private, PAGE, 1);
	fill(private + size - PAGE, PAGE, 2);
	fill(shared, PAGE, 3);
	fill(shared + size - PAGE, PAGE, 4);
	ready();
	wait_for_trigger();
	expect_fill("start of the private one", private, PAGE, 1);
	expect_fill("end of the private one", private + size - PAGE, PAGE, 2);
	expect_fill("start of the shared one", shared, PAGE, 3);
	expect_fill("end of the shared one", shared + size - PAGE, PAGE, 4);
	expect("untouched", 0, shared[size / 2]);
	pass();
}
