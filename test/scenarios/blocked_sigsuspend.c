// SPDX-License-Identifier: GPL-2.0-only
// A program in sigsuspend stays in it; the temporary mask holds inside, the old one comes back after.
// @skip-mode leave-stopped the SIGCONT that ends the stop stays pending, being blocked
#include "scenario.h"


int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t blocked, open, now;
	sigfillset(&blocked);
	must(sigprocmask(SIG_SETMASK, &blocked, NULL));
	sigfillset(&open);
	sigdelset(&open, SIGTERM);
	ready();
	expect("result", -1, sigsuspend(&open));
	expect("errno", EINTR, errno);
	expect("ended by the trigger", 1, scenario_triggered);
	must(sigprocmask(SIG_SETMASK, NULL, &now));
	expect("SIGTERM blocked again", 1, sigismember(&now, SIGTERM));
	expect("SIGUSR1 blocked", 1, sigismember(&now, SIGUSR1));
	pass();
}
