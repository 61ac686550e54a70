// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for an eventfd, and the program goes on unharmed.
// @expect refused EVENTFD
#include "scenario.h"
#include <sys/eventfd.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(eventfd(30, EFD_NONBLOCK));
	ready();
	wait_for_trigger();
	uint64_t value;
	must_be(read(fd, &value, 8) == 8);
	expect("counter", 30, value);
	pass();
}
