// SPDX-License-Identifier: GPL-2.0-only
// After chroot, a descriptor and the working directory lead outside of the root.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("outside", O_RDWR | O_CREAT | O_EXCL, 0600));
	must_be(write(fd, "outside", 7) == 7);
	must(mkdir("jail", 0755));
	if (chroot("jail") < 0)
		skip("chroot: %s", strerror(errno));
	ready();
	wait_for_trigger();
	char text[8] = { 0 };
	must_be(pread(fd, text, 7, 0) == 7);
	expect_text("content", "outside", text);
	must(access("outside", F_OK));
	expect("by absolute path", -1, access("/outside", F_OK));
	pass();
}
