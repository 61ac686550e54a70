// SPDX-License-Identifier: GPL-2.0-only
// A relative sleep on the boot-time clock and what is left of it.
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct timespec wait = { 3600, 0 }, left = { 0, 0 };
	ready();
	while (!scenario_triggered) {
		left = wait;
		expect("result", EINTR, clock_nanosleep(CLOCK_BOOTTIME, 0, &wait, &left));
		if (left.tv_sec < 3500 || left.tv_sec > 3600)
			fail("time left, wanted about 3600 s, got %ld", (long)left.tv_sec);
		wait = left;
	}
	pass();
}
