// SPDX-License-Identifier: GPL-2.0-only
// A memfd's descriptor, a shared and a private mapping of it stay one file.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(memfd_create("somename", MFD_CLOEXEC));
	must(ftruncate(fd, 2 * PAGE));
	char *shared = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	char *second = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE));
	char *own = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	must_be(write(fd, "texts", 6) == 6);
	ready();
	wait_for_trigger();
	expect_text("shared mapping", "texts", shared);
	strcpy(shared, "other");
	char got[6];
	must_be(pread(fd, got, 6, 0) == 6);
	expect_text("content", "other", got);
	expect_text("private mapping", "other", own);
	strcpy(own, "third");
	expect_text("shared mapping after the private was written", "other", shared);
	must_be(pwrite(fd, "page2", 6, PAGE) == 6);
	expect_text("second page", "page2", second);
	expect("position", 6, lseek(fd, 0, SEEK_CUR));
	pass();
}
