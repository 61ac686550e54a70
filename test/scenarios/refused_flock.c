// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a file lock (flock) without --file-locks, and the program goes on unharmed.
// @expect refused FILE_LOCKS
#include "scenario.h"
#include <sys/file.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("file", O_RDWR | O_CREAT, 0600));
	must(flock(fd, LOCK_EX));
	ready();
	wait_for_trigger();
	int other = must(open("file", O_RDWR));
	expect("second lock", -1, flock(other, LOCK_EX | LOCK_NB));
	pass();
}
