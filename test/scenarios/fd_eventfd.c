// SPDX-License-Identifier: GPL-2.0-only
// Event counters keep their values, flags, and dups that share them.
#include "scenario.h"
#include <sys/eventfd.h>

static uint64_t take(int fd)
{
	uint64_t value = 0;
	must_be(read(fd, &value, 8) == 8);
	return value;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(eventfd(30, EFD_NONBLOCK)), big = must(eventfd(0xffffffff, EFD_CLOEXEC)), empty = must(eventfd(0, 0));
	uint64_t more = 30;
	must_be(write(fd, &more, 8) == 8 && write(fd, &more, 8) == 8);
	int twin = must(dup(fd));
	must(fcntl(empty, F_SETFL, O_NONBLOCK | O_APPEND));
	ready();
	wait_for_trigger();
	expect("counter", 90, take(twin));
	expect("read of a taken counter", -1, read(fd, &more, 8));
	expect("its errno", EAGAIN, errno);
	must_be(write(fd, &more, 8) == 8);
	expect("counter through the dup", 30, take(twin));
	expect("close-on-exec", FD_CLOEXEC, fcntl(big, F_GETFD));
	expect("big counter", 0xffffffff, take(big));
	expect("flags of the empty one", O_RDWR | O_NONBLOCK | O_APPEND, fcntl(empty, F_GETFL));
	expect("read of the empty one", -1, read(empty, &more, 8));
	pass();
}
