// SPDX-License-Identifier: GPL-2.0-only
// Handles (O_PATH) of pipes, with and without a name: they lead to the pipe, but are no end of it.
// @skip-peer the original takes a handle for a read end
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	char path[64], text[16];
	must(pipe(ends));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	int handle = must(open(path, O_PATH));
	must_be(write(ends[1], "data", 4) == 4);
	must(mkfifo("fifo", 0600));
	int named = must(open("fifo", O_PATH));
	ready();
	wait_for_trigger();
	expect("read of a handle", -1, read(handle, text, 1));
	expect("its errno", EBADF, errno);
	struct stat a, b;
	must(fstat(handle, &a));
	must(fstat(ends[0], &b));
	expect("inode", b.st_ino, a.st_ino);
	must(close(ends[0]));
	signal(SIGPIPE, SIG_IGN);
	expect("write without a reader", -1, write(ends[1], "x", 1));
	expect("its errno", EPIPE, errno);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", handle);
	int again = must(open(path, O_RDONLY));
	must_be(read(again, text, 16) == 4);
	must(fstat(named, &a));
	must(stat("fifo", &b));
	expect("inode of the named one", b.st_ino, a.st_ino);
	pass();
}
