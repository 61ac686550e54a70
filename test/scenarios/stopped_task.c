// SPDX-License-Identifier: GPL-2.0-only
// A program that is stopped (SIGSTOP) stays stopped through dump and restore, and goes on with SIGCONT.
// @stopped
// @skip-mode leave-stopped it is stopped anyhow
// @peer-may-differ status/(ShdPnd|SigPnd)|stat/signal the peer stops it again, by a SIGSTOP that stays pending
#include "scenario.h"

static volatile int continued;
static void on_continue(int sig)
{
	(void)sig;
	continued++;
}

int main(int argc, char **argv)
{
	scenario_start(argc, argv);
	struct sigaction act = { .sa_handler = on_continue };
	must(sigaction(SIGCONT, &act, NULL));
	ready();
	must(kill(getpid(), SIGSTOP));
	expect("SIGCONT handler ran", 1, continued);
	wait_for_trigger();
	pass();
}
