// SPDX-License-Identifier: GPL-2.0-only
// A ppoll with a signal mask of its own, which must be back to the old one afterwards.
#include "scenario.h"
#include <poll.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe(ends));
	struct pollfd on = { ends[0], POLLIN, 0 };
	sigset_t blocked, open;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGUSR1);
	must(sigprocmask(SIG_SETMASK, &blocked, NULL));
	sigemptyset(&open);
	struct timespec wait = { 3600, 0 };
	ready();
	while (!scenario_triggered) {
		expect("result", -1, ppoll(&on, 1, &wait, &open));
		expect("errno", EINTR, errno);
	}
	sigset_t now;
	must(sigprocmask(SIG_SETMASK, NULL, &now));
	expect("SIGTERM blocked again", 1, sigismember(&now, SIGTERM));
	expect("SIGUSR1 blocked again", 1, sigismember(&now, SIGUSR1));
	expect("SIGUSR2 blocked", 0, sigismember(&now, SIGUSR2));
	pass();
}
