// SPDX-License-Identifier: GPL-2.0-only
// @memory
// A private file mapping keeps its copied pages and follows the file in the others; a shared one writes through to the file.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	enum { N = 16 };
	int fd = must(open("data", O_RDWR | O_CREAT | O_EXCL, 0600));
	static char page[PAGE];
	for (int i = 0; i < N; i++) {
		fill(page, PAGE, i);
		must_be(write(fd, page, PAGE) == (long)PAGE);
	}
	char *private = must(mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	char *shared = must(mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	char *offset = must(mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE, fd, 5 * PAGE));
	for (int i = 0; i < N; i += 2)
		fill(private + i * PAGE, PAGE, 100 + i);
	fill(shared + 15 * PAGE, PAGE, 215);
	volatile char touched = private[3 * PAGE] + offset[0];
	(void)touched;
	close(fd);
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		expect_fill("private page", private + i * PAGE, PAGE, i % 2 == 0 ? 100 + i : i == 15 ? 215 : i);
		expect_fill("shared page", shared + i * PAGE, PAGE, i == 15 ? 215 : i);
	}
	for (int i = 0; i < 3; i++)
		expect_fill("page at an offset", offset + i * PAGE, PAGE, 5 + i);
	fill(shared + 7 * PAGE, PAGE, 307);
	fd = must(open("data", O_RDONLY));
	must_be(pread(fd, page, PAGE, 7 * PAGE) == (long)PAGE);
	expect_fill("file under the shared mapping", page, PAGE, 307);
	expect_fill("untouched private page after a write to the file", private + 7 * PAGE, PAGE, 307);
	expect_fill("private page copied earlier", private + 8 * PAGE, PAGE, 108);
	pass();
}
