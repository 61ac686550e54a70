// SPDX-License-Identifier: GPL-2.0-only
// The root directory is another one (chroot), with the working directory in it.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkdir("jail", 0755));
	must(mkdir("jail/tmp", 0755));
	if (chroot("jail") < 0)
		skip("chroot: %s", strerror(errno));
	must(chdir("/"));
	int fd = must(open("/inside", O_RDWR | O_CREAT | O_EXCL, 0600));
	must_be(write(fd, "inside", 6) == 6);
	ready();
	wait_for_trigger();
	char text[8] = { 0 };
	must_be(pread(fd, text, 6, 0) == 6);
	expect_text("text by the descriptor", "inside", text);
	int again = must(open("/inside", O_RDONLY));
	memset(text, 0, sizeof(text));
	must_be(read(again, text, 6) == 6);
	expect_text("text by the name", "inside", text);
	expect("/etc exists", -1, access("/etc", F_OK));
	pass();
}
