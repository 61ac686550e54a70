// SPDX-License-Identifier: GPL-2.0-only
// Absolute timers fire at their moment by the program's own clock, on each clock; cancel-on-set stays asked for.
// @may-differ fd/\d+/(it_value|ticks) it counts down
// @skip-peer the peer loses parts of a second of the moment
#include "scenario.h"
#include <sys/timerfd.h>

static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME };
#define N 3
#define NS 1000000000LL

static int64_t now(int clock)
{
	struct timespec t;
	must(clock_gettime(clock, &t));
	return t.tv_sec * NS + t.tv_nsec;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fds[N], far[N];
	int64_t when[N], later[N];
	for (int i = 0; i < N; i++) {
		fds[i] = must(timerfd_create(clocks[i], 0));
		far[i] = must(timerfd_create(clocks[i], 0));
		when[i] = now(clocks[i]) + 4 * NS;
		later[i] = when[i] + 5000 * NS;
		struct itimerspec spec = { .it_value = { when[i] / NS, when[i] % NS } };
		must(timerfd_settime(fds[i], TFD_TIMER_ABSTIME, &spec, NULL));
		spec.it_value.tv_sec += 5000;
		must(timerfd_settime(far[i], TFD_TIMER_ABSTIME | (i == 2 ? TFD_TIMER_CANCEL_ON_SET : 0), &spec, NULL));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < N; i++) {
		struct itimerspec got;
		int64_t before = now(clocks[i]);
		must(timerfd_gettime(far[i], &got));
		int64_t at = before + got.it_value.tv_sec * NS + got.it_value.tv_nsec;
		if (at < later[i] - NS / 1000 || at > later[i] + 2 * NS)
			fail("clock %d fires %lld ns after its moment", clocks[i], (long long)(at - later[i]));
		uint64_t ticks;
		must_be(read(fds[i], &ticks, 8) == 8);
		expect("ticks", 1, ticks);
		if (now(clocks[i]) < when[i])
			fail("clock %d fired %lld ns early", clocks[i], (long long)(when[i] - now(clocks[i])));
	}
	pass();
}
