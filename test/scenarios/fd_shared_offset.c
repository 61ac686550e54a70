// SPDX-License-Identifier: GPL-2.0-only
// Duplicates share one offset, independent opens of the same file don't; close-on-exec is each descriptor's own.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("file", O_RDWR | O_CREAT | O_EXCL, 0600));
	must(ftruncate(fd, 4096));
	int twin = must(dup(fd)), far = must(fcntl(fd, F_DUPFD_CLOEXEC, 300)), own = must(open("file", O_RDWR));
	int append = must(open("file", O_WRONLY | O_APPEND));
	must(lseek(fd, 100, SEEK_SET));
	must(lseek(own, 200, SEEK_SET));
	ready();
	wait_for_trigger();
	expect("twin's position", 100, lseek(twin, 0, SEEK_CUR));
	expect("far twin's position", 100, lseek(far, 0, SEEK_CUR));
	expect("own position", 200, lseek(own, 0, SEEK_CUR));
	must(lseek(far, 1000, SEEK_SET));
	expect("position after the twin's seek", 1000, lseek(fd, 0, SEEK_CUR));
	expect("own position after the twin's seek", 200, lseek(own, 0, SEEK_CUR));
	expect("close-on-exec of the first", 0, fcntl(fd, F_GETFD));
	expect("close-on-exec of the far one", FD_CLOEXEC, fcntl(far, F_GETFD));
	must(fcntl(twin, F_SETFL, O_NONBLOCK));
	must_be(fcntl(fd, F_GETFL) & O_NONBLOCK);
	must_be(!(fcntl(own, F_GETFL) & O_NONBLOCK));
	expect("append flag", O_APPEND, fcntl(append, F_GETFL) & O_APPEND);
	must_be(write(append, "end", 3) == 3);
	struct stat st;
	must(fstat(fd, &st));
	expect("size after the append", 4099, st.st_size);
	pass();
}
