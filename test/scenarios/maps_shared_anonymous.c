// SPDX-License-Identifier: GPL-2.0-only
// Shared anonymous memory keeps its data, and two mappings of one object (one by mremap) stay one object, with a private view of it.
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
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (long)other, (long)(other + size));
	int fd = must(open(path, O_RDWR));
	char *own = must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	must(close(fd));
	own[0] = 5;
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
	expect("written page of the private view", 5, own[0]);
	expect("what is beneath it", 0, other[0]);
	expect("page of the object in the private view", 9, own[5 * PAGE + 17]);
	other[7 * PAGE] = 79;
	expect("untouched page of the private view after a write to the object", 79, own[7 * PAGE]);
	pass();
}
