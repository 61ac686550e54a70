// SPDX-License-Identifier: GPL-2.0-only
// A program in sigtimedwait with an hour of time limit.
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	struct timespec wait = { 3600, 0 };
	ready();
	int got;
	do
		got = sigtimedwait(&set, NULL, &wait);
	while (got < 0 && errno == EINTR);
	expect("signal", SIGTERM, got);
	pass();
}
