// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a record lock (fcntl) without --file-locks, and the program goes on unharmed.
// @expect refused FILE_LOCKS
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("file", O_RDWR | O_CREAT, 0600));
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20 };
	must(fcntl(fd, F_SETLK, &lock));
	ready();
	wait_for_trigger();
	struct flock other = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	must(fcntl(fd, F_OFD_GETLK, &other));
	expect("start of the lock", 10, other.l_start);
	expect("length of the lock", 20, other.l_len);
	pass();
}
