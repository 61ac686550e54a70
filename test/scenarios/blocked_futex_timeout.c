// SPDX-License-Identifier: GPL-2.0-only
// A futex wait with an absolute time limit an hour away.
#include "scenario.h"
#include <linux/futex.h>
static unsigned word = 6;

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct timespec until;
	must(clock_gettime(CLOCK_MONOTONIC, &until));
	until.tv_sec += 3600;
	ready();
	while (!scenario_triggered) {
		expect("result", -1, syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 6, &until, NULL, FUTEX_BITSET_MATCH_ANY));
		expect("errno", EINTR, errno);
	}
	pass();
}
