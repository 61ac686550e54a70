// SPDX-License-Identifier: GPL-2.0-only
// A poll with an hour of time limit goes on or tells EINTR at the restore; it never claims that the time is over.
#include "scenario.h"
#include <poll.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe(ends));
	struct pollfd on = { ends[0], POLLIN, 0 };
	ready();
	while (!scenario_triggered) {
		expect("result", -1, poll(&on, 1, 3600000));
		expect("errno", EINTR, errno);
	}
	pass();
}
