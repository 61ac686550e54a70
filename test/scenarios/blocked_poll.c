// SPDX-License-Identifier: GPL-2.0-only
// A poll without time limit goes on until the trigger, and does not return early.
// @skip-peer by the image convention the original ends the call with EINTR
#include "scenario.h"
#include <poll.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe(ends));
	struct pollfd on = { ends[0], POLLIN, 0 };
	ready();
	expect("result", -1, poll(&on, 1, -1));
	expect("errno", EINTR, errno);
	expect("ended by the trigger", 1, scenario_triggered);
	must_be(write(ends[1], "x", 1) == 1);
	expect("poll with data", 1, poll(&on, 1, 10000));
	pass();
}
