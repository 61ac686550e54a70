// SPDX-License-Identifier: GPL-2.0-only
// --shell-job without any terminal descriptor: a program in another's session with its stdio on /dev/null.
// @needs tty
// @options --shell-job
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int null = must(open("/dev/null", O_RDWR));
	for (int i = 0; i < 3; i++)
		must(dup2(null, i));
	close(null);
	ready();
	wait_for_trigger();
	must_be(getsid(0) != getpid());
	pass();
}
