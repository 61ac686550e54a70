// SPDX-License-Identifier: GPL-2.0-only
// A program without any open descriptor.
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	ready();
	for (int fd = 0; fd < 64; fd++)
		close(fd);
	wait_for_trigger();
	struct stat st;
	for (int fd = 0; fd < 64; fd++)
		if (fstat(fd, &st) == 0) {
			scenario_out = open(scenario_out_path, O_WRONLY | O_APPEND);
			fail("descriptor %d, wanted it closed, got it open", fd);
		}
	scenario_out = open(scenario_out_path, O_WRONLY | O_APPEND);
	if (scenario_out < 0)
		_exit(4);
	pass();
}
