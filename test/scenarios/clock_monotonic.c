// SPDX-License-Identifier: GPL-2.0-only
// The monotonic clock never goes backward over a checkpoint.
// @busy
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct timespec last, now;
	must(clock_gettime(CLOCK_MONOTONIC, &last));
	ready();
	while (!scenario_triggered) {
		must(clock_gettime(CLOCK_MONOTONIC, &now));
		if (now.tv_sec < last.tv_sec || (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec))
			fail("monotonic clock, wanted at least %ld.%09ld, got %ld.%09ld", last.tv_sec, last.tv_nsec, now.tv_sec, now.tv_nsec);
		last = now;
	}
	pass();
}
