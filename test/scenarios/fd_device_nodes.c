// SPDX-License-Identifier: GPL-2.0-only
// Device nodes made by the program: one open and still named, with odd mode.
#include "scenario.h"
#include <sys/sysmacros.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	if (mknod("my null", S_IFCHR | 0706, makedev(1, 3)) < 0)
		skip("mknod: %s", strerror(errno));
	int fd = open("my null", O_RDWR);
	if (fd < 0)
		skip("opening a device node here: %s", strerror(errno));
	ready();
	wait_for_trigger();
	struct stat st;
	must(fstat(fd, &st));
	expect("device", makedev(1, 3), st.st_rdev);
	must_be(write(fd, "x", 1) == 1);
	char byte;
	expect("end of file", 0, read(fd, &byte, 1));
	pass();
}
