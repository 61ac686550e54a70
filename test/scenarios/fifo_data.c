// SPDX-License-Identifier: GPL-2.0-only
// A named pipe, full, opened for reading and writing; a small one with only its read end left; one whose name is gone.
#include "scenario.h"
#include <poll.h>
#include <sys/ioctl.h>

#define FULL 65536

static void expect_fifo(const char *name, mode_t mode)
{
	struct stat st;
	must(stat(name, &st));
	expect("mode of the named pipe", S_IFIFO | mode, st.st_mode);
	must(unlink(name));
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	static char data[FULL], got[FULL];
	umask(0);
	must(mkfifo("full", 0700));
	int full = must(open("full", O_RDWR));
	fill(data, FULL, 1);
	must_be(write(full, data, FULL) == FULL);
	int other = must(open("full", O_WRONLY | O_NONBLOCK));

	must(mkfifo("half", 0640));
	int half = must(open("half", O_RDWR));
	must(fcntl(half, F_SETPIPE_SZ, 1 << 20));
	int reader = must(open("half", O_RDONLY));
	must_be(write(half, "half open", 9) == 9);
	must(close(half));

	must(mkfifo("gone", 0600));
	int gone = must(open("gone", O_RDWR));
	int gone_reader = must(open("gone", O_RDONLY | O_NONBLOCK));
	must_be(write(gone, data, 256) == 256);
	must(unlink("gone"));
	must(close(gone));
	ready();
	wait_for_trigger();
	expect("write to the full one", -1, write(other, "x", 1));
	expect("its errno", EAGAIN, errno);
	for (int at = 0; at < FULL; at += 4096)
		must_be(read(full, got + at, 4096) == 4096);
	expect_bytes("data of the full one", data, got, FULL);
	must_be(write(other, "again", 5) == 5 && read(full, got, 64) == 5);
	expect_fifo("full", 0700);

	struct pollfd on = { reader, POLLIN, 0 };
	must(poll(&on, 1, 0));
	expect("events of the half", POLLIN | POLLHUP, on.revents);
	expect("size of the half", 1 << 20, must(fcntl(reader, F_GETPIPE_SZ)));
	must_be(read(reader, got, 64) == 9);
	expect_bytes("data of the half", "half open", got, 9);
	expect("end of the half", 0, read(reader, got, 1));
	expect("flags", O_RDONLY, must(fcntl(reader, F_GETFL)) & (O_ACCMODE | O_NONBLOCK));
	int late = must(open("half", O_WRONLY | O_NONBLOCK));
	must_be(write(late, "late", 4) == 4 && read(reader, got, 64) == 4);
	expect_fifo("half", 0640);

	must_be(read(gone_reader, got, FULL) == 256);
	expect_bytes("data of the one without a name", data, got, 256);
	expect("end of it", 0, read(gone_reader, got, 1));
	struct stat st;
	must(fstat(gone_reader, &st));
	expect("links", 0, st.st_nlink);
	expect("mode", S_IFIFO | 0600, st.st_mode);
	pass();
}
