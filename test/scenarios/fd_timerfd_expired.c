// SPDX-License-Identifier: GPL-2.0-only
// Expirations that nobody has read stay: a single one, and all of a fast interval, which goes on.
// @may-differ fd/\d+/(it_value|ticks) it goes on while it isn't read
// @skip-mode peer-ours the peer doesn't count the expirations since the first
#include "scenario.h"
#include <poll.h>
#include <sys/timerfd.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int once = must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)), fast = must(timerfd_create(CLOCK_MONOTONIC, 0));
	int slow = must(timerfd_create(CLOCK_MONOTONIC, 0));
	struct itimerspec spec = { .it_value = { 0, 50000 } };
	must(timerfd_settime(once, 0, &spec, NULL));
	spec.it_interval.tv_nsec = 1000000;
	must(timerfd_settime(fast, 0, &spec, NULL));
	spec.it_interval = (struct timespec){ 4000, 0 };
	must(timerfd_settime(slow, 0, &spec, NULL));
	usleep(100000);
	ready();
	wait_for_trigger();
	uint64_t ticks = 0;
	must_be(read(once, &ticks, 8) == 8);
	expect("ticks of the one that fires once", 1, ticks);
	expect("read after that", -1, read(once, &ticks, 8));
	struct itimerspec got;
	must(timerfd_gettime(once, &got));
	expect("time left of it", 0, got.it_value.tv_sec + got.it_value.tv_nsec);
	must_be(read(fast, &ticks, 8) == 8);
	if (ticks < 90)
		fail("ticks of the fast one, wanted 90 or more, got %lu", ticks);
	must_be(read(fast, &ticks, 8) == 8);
	must(timerfd_gettime(slow, &got));
	expect("interval of the slow one", 4000, got.it_interval.tv_sec);
	must_be(got.it_value.tv_sec > 3900);
	must_be(read(slow, &ticks, 8) == 8);
	expect("ticks of the slow one", 1, ticks);
	struct pollfd again = { slow, POLLIN, 0 };
	expect("poll of the slow one", 0, poll(&again, 1, 0));
	pass();
}
