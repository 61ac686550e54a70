// SPDX-License-Identifier: GPL-2.0-only
// Without --shell-job a dump of a program that does not lead its session is refused, naming that option.
// @expect refused NOT_SESSION_LEADER
// @needs tty
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	must_be(getsid(0) != getpid());
	pid_t session = getsid(0);
	ready();
	wait_for_trigger();
	expect("session", session, getsid(0));
	pass();
}
