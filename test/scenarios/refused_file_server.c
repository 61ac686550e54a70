// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a program that serves a file system (FUSE) of which it has a file open, before anything touches that: nobody
// would answer.
// @expect refused FILE_SERVER
// @expect-text serves a file system
#include "fuse.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct stat status;
	const char *lack = mount_served("served");
	if (lack != NULL)
		skip("%s", lack);
	if (must(fork()) == 0) {
		must(prctl(PR_SET_PDEATHSIG, SIGKILL));
		while (serve_one())
			;
		_exit(0);
	}
	must(close(device));
	int file = must(open("served/file", O_RDONLY));
	must(fstat(file, &status));
	ready();
	wait_for_trigger();
	must(fstat(file, &status));
	expect("inode of the file", 2, status.st_ino);
	must(close(file));
	must(umount("served"));
	pass();
}
