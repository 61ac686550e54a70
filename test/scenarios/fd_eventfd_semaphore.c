// SPDX-License-Identifier: GPL-2.0-only
// An eventfd that counts down one by one goes on to do so, full or empty.
// @skip-peer the peer doesn't keep EFD_SEMAPHORE
#include "scenario.h"
#include <sys/eventfd.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK)), empty = must(eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK));
	ready();
	wait_for_trigger();
	uint64_t value = 0;
	for (int i = 0; i < 3; i++) {
		must_be(read(fd, &value, 8) == 8);
		expect("what a read takes", 1, value);
	}
	expect("read when it's used up", -1, read(fd, &value, 8));
	value = 2;
	must_be(write(empty, &value, 8) == 8);
	must_be(read(empty, &value, 8) == 8);
	expect("what a read takes of 2", 1, value);
	pass();
}
