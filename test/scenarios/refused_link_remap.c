// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for an open file whose name was removed while it has another hard link, and the program goes on unharmed.
// @expect refused LINK_REMAP
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("first", O_RDWR | O_CREAT | O_EXCL, 0600));
	must_be(write(fd, "text", 4) == 4);
	must(link("first", "second"));
	must(unlink("first"));
	ready();
	wait_for_trigger();
	struct stat st;
	must(fstat(fd, &st));
	expect("links", 1, st.st_nlink);
	must(access("second", F_OK));
	pass();
}
