// SPDX-License-Identifier: GPL-2.0-only
// A pselect with a signal mask of its own and no time limit.
#include "scenario.h"
#include <sys/select.h>

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	int ends[2];
	must(pipe(ends));
	sigset_t blocked, open, now;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	must(sigprocmask(SIG_SETMASK, &blocked, NULL));
	sigemptyset(&open);
	ready();
	while (!scenario_triggered) {
		fd_set in;
		FD_ZERO(&in);
		FD_SET(ends[0], &in);
		expect("result", -1, pselect(ends[0] + 1, &in, NULL, NULL, NULL, &open));
		expect("errno", EINTR, errno);
	}
	must(sigprocmask(SIG_SETMASK, NULL, &now));
	expect("SIGTERM blocked again", 1, sigismember(&now, SIGTERM));
	pass();
}
