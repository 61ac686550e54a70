// SPDX-License-Identifier: GPL-2.0-only
// A SIGTRAP that is blocked and pending, which gets into the way of whoever works with traps: it's kept.
// @trigger file
// @skip-peer CRIU 4.1.1 fails to dump a task with SIGTRAP pending
#include "scenario.h"

static volatile int traps;
static void on_trap(int sig)
{
	(void)sig;
	traps++;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	sigset_t trap, pending;
	struct sigaction act = { .sa_handler = on_trap }, now;
	must(sigaction(SIGTRAP, &act, NULL));
	sigemptyset(&trap);
	sigaddset(&trap, SIGTRAP);
	must(sigprocmask(SIG_BLOCK, &trap, NULL));
	must(kill(getpid(), SIGTRAP));
	ready();
	wait_for_file();
	expect("traps that were handled", 0, traps);
	must(sigpending(&pending));
	expect("pending", 1, sigismember(&pending, SIGTRAP));
	must(sigaction(SIGTRAP, NULL, &now));
	must_be(now.sa_handler == on_trap);
	must(sigprocmask(SIG_UNBLOCK, &trap, NULL));
	expect("traps that were handled", 1, traps);
	pass();
}
