// SPDX-License-Identifier: GPL-2.0-only
// A timer file of each clock keeps its clock, interval, flags and what is left of its time.
// @may-differ fd/\d+/it_value it counts down
#include "scenario.h"
#include <sys/timerfd.h>

static const int clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME };
#define N 3

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fds[N], disarmed = must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
	for (int i = 0; i < N; i++) {
		fds[i] = must(timerfd_create(clocks[i], i & 1 ? TFD_NONBLOCK : 0));
		struct itimerspec spec = { .it_value = { 3000 + i, 0 }, .it_interval = { 100 + i, 12345 } };
		must(timerfd_settime(fds[i], 0, &spec, NULL));
	}
	ready();
	wait_for_trigger();
	struct itimerspec got;
	for (int i = 0; i < N; i++) {
		must(timerfd_gettime(fds[i], &got));
		if (got.it_value.tv_sec > 3000 + i || got.it_value.tv_sec < 2900)
			fail("time left of clock %d, wanted about %d s, got %ld s", clocks[i], 3000 + i, got.it_value.tv_sec);
		expect("interval, seconds", 100 + i, got.it_interval.tv_sec);
		expect("interval, nanoseconds", 12345, got.it_interval.tv_nsec);
		expect("non-blocking", i & 1 ? O_NONBLOCK : 0, fcntl(fds[i], F_GETFL) & O_NONBLOCK);
	}
	must(timerfd_gettime(disarmed, &got));
	expect("time left of the disarmed one", 0, got.it_value.tv_sec + got.it_value.tv_nsec);
	uint64_t ticks;
	expect("read of the disarmed one", -1, read(disarmed, &ticks, 8));
	expect("its errno", EAGAIN, errno);
	pass();
}
