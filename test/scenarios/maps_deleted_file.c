// SPDX-License-Identifier: GPL-2.0-only
// Mappings of a file that has been deleted (no descriptor left) keep their data, private and shared, and stay one file.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("ghost", O_RDWR | O_CREAT | O_EXCL, 0640));
	must(ftruncate(fd, 4 * PAGE));
	char *shared = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	char *private = must(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	char *readonly = must(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE));
	for (int i = 0; i < 4; i++)
		fill(shared + i * PAGE, PAGE, i);
	fill(private, PAGE, 50);
	close(fd);
	must(unlink("ghost"));
	ready();
	wait_for_trigger();
	expect("name exists", -1, access("ghost", F_OK));
	for (int i = 0; i < 4; i++) {
		expect_fill("shared", shared + i * PAGE, PAGE, i);
		expect_fill("private", private + i * PAGE, PAGE, i == 0 ? 50 : i);
	}
	expect_fill("read-only", readonly, PAGE, 1);
	fill(shared + PAGE, PAGE, 61);
	expect_fill("private after a write to the shared one", private + PAGE, PAGE, 61);
	expect_fill("read-only after a write to the shared one", readonly, PAGE, 61);
	pass();
}
