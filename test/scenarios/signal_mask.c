// SPDX-License-Identifier: GPL-2.0-only
// The signal mask of a program that is blocked in an ordinary call, real-time signals included.
// @trigger file
#include "scenario.h"

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t set, got;
	sigemptyset(&set);
	const int blocked[] = { SIGUSR1, SIGPIPE, SIGCHLD, SIGTERM, SIGRTMIN, SIGRTMIN + 5, SIGRTMAX, SIGTRAP };
	for (unsigned i = 0; i < sizeof(blocked) / sizeof(*blocked); i++)
		sigaddset(&set, blocked[i]);
	must(sigprocmask(SIG_SETMASK, &set, NULL));
	ready();
	wait_for_file();
	must(sigprocmask(SIG_SETMASK, NULL, &got));
	for (int sig = 1; sig <= 64; sig++) {
		char what[32];
		snprintf(what, sizeof(what), "signal %d blocked", sig);
		expect(what, sigismember(&set, sig), sigismember(&got, sig));
	}
	pass();
}
