// SPDX-License-Identifier: GPL-2.0-only
// Interval timers of all three clocks, one hour, keep their remaining time and their interval.
#include "scenario.h"
#include <sys/time.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	const int which[] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };
	for (int i = 0; i < 3; i++) {
		struct itimerval t = { .it_value = { 3600 + i, 500000 }, .it_interval = { 7 * i, 250 * i } };
		must(setitimer(which[i], &t, NULL));
	}
	ready();
	wait_for_trigger();
	for (int i = 0; i < 3; i++) {
		struct itimerval t;
		must(getitimer(which[i], &t));
		expect("interval seconds", 7 * i, t.it_interval.tv_sec);
		if (labs((long)t.it_interval.tv_usec - 250 * i) > (i == 0 ? 0 : 20000)) // CPU clocks tick in jiffies
			fail("interval of timer %d, wanted %d us, got %ld", i, 250 * i, (long)t.it_interval.tv_usec);
		if (t.it_value.tv_sec < 3540 || t.it_value.tv_sec > 3600 + i)
			fail("remaining time of timer %d, wanted about %d, got %ld", i, 3600 + i, (long)t.it_value.tv_sec);
	}
	pass();
}
