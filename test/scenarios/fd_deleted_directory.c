// SPDX-License-Identifier: GPL-2.0-only
// An open directory that has been removed, which is also the working directory: both are one.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must(mkdir("gone", 0750));
	int fd = must(open("gone", O_RDONLY | O_DIRECTORY));
	must(chdir("gone"));
	must(rmdir("../gone"));
	ready();
	wait_for_trigger();
	struct stat a, b;
	must(fstat(fd, &a));
	must(stat("/proc/self/cwd", &b));
	expect("same inode", a.st_ino, b.st_ino);
	must_be(S_ISDIR(a.st_mode));
	expect("creating a file in it", -1, openat(fd, "x", O_WRONLY | O_CREAT, 0600));
	expect("its errno", ENOENT, errno);
	pass();
}
