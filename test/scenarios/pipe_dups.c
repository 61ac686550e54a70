// SPDX-License-Identifier: GPL-2.0-only
// Several duplicates of pipe ends, reopened ends with flags of their own, end of file only after the last writer.
#include "scenario.h"

static int reopen(int fd, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return must(open(path, flags));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe(ends));
	int dup_read = must(dup(ends[0])), dup_write = must(fcntl(ends[1], F_DUPFD_CLOEXEC, 100));
	int own_read = reopen(ends[0], O_RDONLY), own_write = reopen(ends[1], O_WRONLY), both = reopen(ends[0], O_RDWR);
	must(fcntl(ends[1], F_SETFL, O_NONBLOCK));
	must_be(write(ends[1], "abc", 3) == 3);
	ready();
	wait_for_trigger();
	expect("O_NONBLOCK of the duplicate", O_NONBLOCK, fcntl(dup_write, F_GETFL) & O_NONBLOCK);
	expect("O_NONBLOCK of the reopened end", 0, fcntl(own_write, F_GETFL) & O_NONBLOCK);
	expect("access mode of the third", O_RDWR, fcntl(both, F_GETFL) & O_ACCMODE);
	must_be(write(dup_write, "d", 1) == 1 && write(own_write, "e", 1) == 1 && write(both, "f", 1) == 1);
	char text[16] = { 0 };
	must_be(read(dup_read, text, 2) == 2);
	must_be(read(own_read, text + 2, 2) == 2);
	must_be(read(ends[0], text + 4, 2) == 2);
	expect_text("bytes", "abcdef", text);
	close(ends[1]);
	close(dup_write);
	close(own_write);
	must(fcntl(ends[0], F_SETFL, O_NONBLOCK));
	expect("read while a writer is left", -1, read(ends[0], text, 1));
	expect("its errno", EAGAIN, errno);
	close(both);
	expect("end of file", 0, read(ends[0], text, 1));
	pass();
}
