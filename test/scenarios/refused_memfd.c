// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a memfd, and the program goes on unharmed.
// @expect refused MEMFD
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(memfd_create("a memfd", MFD_CLOEXEC));
	must_be(write(fd, "content", 7) == 7);
	ready();
	wait_for_trigger();
	char text[8] = { 0 };
	must_be(pread(fd, text, 7, 0) == 7);
	expect_text("content", "content", text);
	pass();
}
