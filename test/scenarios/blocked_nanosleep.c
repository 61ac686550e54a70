// SPDX-License-Identifier: GPL-2.0-only
// A sleep of an hour under way: it goes on (or tells EINTR at the restore) until the trigger ends it, with about an hour left.
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct timespec wait = { 3600, 0 }, left = { 0, 0 };
	ready();
	while (!scenario_triggered) {
		left = wait;
		expect("result", -1, nanosleep(&wait, &left));
		expect("errno", EINTR, errno);
		if (left.tv_sec < 3500 || left.tv_sec > 3600)
			fail("time left, wanted about 3600 s, got %ld", (long)left.tv_sec);
		wait = left;
	}
	pass();
}
