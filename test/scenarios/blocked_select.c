// SPDX-License-Identifier: GPL-2.0-only
// A select with an hour of time limit; its sets are those of a call that was interrupted, not of one that timed out.
#include "scenario.h"
#include <sys/select.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe(ends));
	ready();
	while (!scenario_triggered) {
		fd_set in;
		FD_ZERO(&in);
		FD_SET(ends[0], &in);
		struct timeval wait = { 3600, 0 };
		expect("result", -1, select(ends[0] + 1, &in, NULL, NULL, &wait));
		expect("errno", EINTR, errno);
	}
	pass();
}
