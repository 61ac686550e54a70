// SPDX-License-Identifier: GPL-2.0-only
// A dump is refused for a pty that it opened itself, and the program goes on unharmed.
// @expect refused TTY
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int fd = must(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	ready();
	wait_for_trigger();
	must_be(write(fd, "x", 1) == 1);
	pass();
}
