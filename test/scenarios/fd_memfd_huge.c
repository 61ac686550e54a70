// SPDX-License-Identifier: GPL-2.0-only
// A memfd of huge pages, open and mapped.
// @needs hugetlb
#include "scenario.h"

#define SIZE (2UL << 20)

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(memfd_create("huge", MFD_HUGETLB)), bare = must(memfd_create("not mapped", MFD_HUGETLB));
	must(ftruncate(fd, SIZE));
	must(ftruncate(bare, SIZE));
	char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		skip("no huge page is free");
	char *other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bare, 0);
	if (other == MAP_FAILED)
		skip("no second huge page is free");
	fill(map, SIZE, 9);
	fill(other, SIZE, 10);
	must(munmap(other, SIZE));
	ready();
	wait_for_trigger();
	expect_fill("mapping", map, SIZE, 9);
	map[77] ^= 1;
	char *got = must(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must_be(pread(fd, got, SIZE, 0) == (ssize_t)SIZE);
	expect_bytes("content", map, got, SIZE);
	must_be(pread(bare, got, SIZE, 0) == (ssize_t)SIZE);
	expect_fill("content of the other", got, SIZE, 10);
	pass();
}
