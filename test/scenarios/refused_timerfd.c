// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a timerfd, and the program goes on unharmed.
// @expect refused TIMERFD
// @may-differ fd/4/it_value it counts down
#include "scenario.h"
#include <sys/timerfd.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(timerfd_create(CLOCK_MONOTONIC, 0));
	struct itimerspec spec = { .it_value = { 3600, 0 } }, got;
	must(timerfd_settime(fd, 0, &spec, NULL));
	ready();
	wait_for_trigger();
	must(timerfd_gettime(fd, &got));
	must_be(got.it_value.tv_sec > 3500);
	pass();
}
