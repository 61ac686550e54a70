// SPDX-License-Identifier: GPL-2.0-only
// A program in sigwaitinfo gets the signal that comes after the restore.
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	siginfo_t info;
	ready();
	int got;
	do
		got = sigwaitinfo(&set, &info);
	while (got < 0 && errno == EINTR); // signal(7): EINTR after a stop is the kernel rule for this call
	expect("signal", SIGTERM, got);
	pass();
}
